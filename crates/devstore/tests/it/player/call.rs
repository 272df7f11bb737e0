//! Calls of any method, in messages made from JSON and turned into JSON.

use bytes::{Buf, BufMut};
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, MethodDescriptor, SerializeOptions};
use serde_json::{Map, Value};
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{
    Code, Request, Status,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    codegen::http::uri::PathAndQuery,
    metadata::{AsciiMetadataKey, KeyAndValueRef},
    transport::Channel,
};

/// Larger than any message of the server.
const MAX_MESSAGE: usize = 32 << 20;

pub(crate) struct Protocol {
    pool: DescriptorPool,
    channel: Channel,
}

impl Protocol {
    pub(crate) fn new(channel: Channel) -> Self {
        let descriptors = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
        Self { pool: DescriptorPool::decode(&descriptors[..]).unwrap(), channel }
    }

    fn method(&self, path: &str) -> MethodDescriptor {
        let (service, method) = path.split_once('/').unwrap();
        let service =
            self.pool.get_service_by_name(service).unwrap_or_else(|| panic!("no service {service}"));
        service.methods().find(|m| m.name() == method).unwrap_or_else(|| panic!("no method {path}"))
    }

    pub(crate) fn takes_one_request(&self, path: &str) -> bool {
        !self.method(path).is_client_streaming()
    }

    /// Opens a call. Whatever the method, on the wire it is messages one way and messages the other.
    pub(crate) fn open(&self, path: &str, metadata: Option<&Value>) -> Call {
        let method = self.method(path);
        let (requests, outgoing) = mpsc::unbounded_channel();
        let (answers, incoming) = mpsc::unbounded_channel();
        let mut request = Request::new(UnboundedReceiverStream::new(outgoing));
        for (key, value) in metadata.and_then(Value::as_object).into_iter().flatten() {
            let key = AsciiMetadataKey::from_bytes(key.as_bytes()).unwrap();
            request.metadata_mut().insert(key, value.as_str().unwrap().parse().unwrap());
        }
        let mut grpc = Grpc::new(self.channel.clone()).max_decoding_message_size(MAX_MESSAGE);
        let codec = DynamicCodec(method.output());
        let path = format!("/{path}").parse().unwrap();
        let task = tokio::spawn(async move {
            let end = exchange(&mut grpc, request, path, codec, &answers).await.err();
            // The player may have given up on this call.
            let _ = answers.send(Received::End(end.unwrap_or_else(|| Status::new(Code::Ok, ""))));
        });
        Call { input: method.input(), requests: Some(requests), incoming, task }
    }
}

async fn exchange(
    grpc: &mut Grpc<Channel>,
    request: Request<UnboundedReceiverStream<DynamicMessage>>,
    path: PathAndQuery,
    codec: DynamicCodec,
    answers: &mpsc::UnboundedSender<Received>,
) -> Result<(), Status> {
    grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
    let mut response = grpc.streaming(request, path, codec).await?.into_inner();
    while let Some(message) = response.message().await? {
        let _ = answers.send(Received::Message(to_json(&message)));
    }
    Ok(())
}

/// The way recordings are written.
fn to_json(message: &DynamicMessage) -> Value {
    let options = SerializeOptions::new().use_proto_field_name(true);
    message.serialize_with_options(serde_json::value::Serializer, &options).unwrap()
}

pub(crate) enum Received {
    Message(Value),
    End(Status),
}

/// An open call; cancelled when dropped.
pub(crate) struct Call {
    input: MessageDescriptor,
    requests: Option<mpsc::UnboundedSender<DynamicMessage>>,
    incoming: mpsc::UnboundedReceiver<Received>,
    task: tokio::task::JoinHandle<()>,
}

impl Call {
    pub(crate) fn send(&mut self, message: &Value) {
        let message = DynamicMessage::deserialize(self.input.clone(), message).unwrap();
        // A server may end a call before all was sent.
        let _ = self.requests.as_ref().unwrap().send(message);
    }

    pub(crate) fn half_close(&mut self) {
        self.requests = None;
    }

    pub(crate) async fn next(&mut self) -> Received {
        self.incoming.recv().await.unwrap_or_else(|| Received::End(Status::aborted("the call is over")))
    }

    /// What is there already.
    pub(crate) fn received(&mut self) -> Option<Received> {
        self.incoming.try_recv().ok()
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A status code as recordings have it.
pub(crate) fn code_name(code: Code) -> String {
    let name = format!("{code:?}");
    let mut out = String::new();
    for (index, c) in name.chars().enumerate() {
        if c.is_uppercase() && index > 0 && name != "Ok" {
            out.push('_');
        }
        out.push(c.to_ascii_uppercase());
    }
    out
}

/// The trailers that are the server's own.
pub(crate) fn trailers(status: &Status) -> Map<String, Value> {
    let of_http = ["content-type", "date", "server", "content-length"];
    status
        .metadata()
        .iter()
        .filter_map(|entry| match entry {
            KeyAndValueRef::Ascii(key, value) => {
                Some((key.as_str().to_owned(), value.to_str().unwrap().into()))
            }
            KeyAndValueRef::Binary(..) => None,
        })
        .filter(|(key, _)| !of_http.contains(&key.as_str()))
        .collect()
}

struct DynamicCodec(MessageDescriptor);
struct DynamicEncoder;
struct DynamicDecoder(MessageDescriptor);

impl Codec for DynamicCodec {
    type Encode = DynamicMessage;
    type Decode = DynamicMessage;
    type Encoder = DynamicEncoder;
    type Decoder = DynamicDecoder;

    fn encoder(&mut self) -> Self::Encoder {
        DynamicEncoder
    }

    fn decoder(&mut self) -> Self::Decoder {
        DynamicDecoder(self.0.clone())
    }
}

impl Encoder for DynamicEncoder {
    type Item = DynamicMessage;
    type Error = Status;

    fn encode(&mut self, item: DynamicMessage, buf: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buf.put_slice(&item.encode_to_vec());
        Ok(())
    }
}

impl Decoder for DynamicDecoder {
    type Item = DynamicMessage;
    type Error = Status;

    fn decode(&mut self, buf: &mut DecodeBuf<'_>) -> Result<Option<DynamicMessage>, Status> {
        let bytes = buf.copy_to_bytes(buf.remaining());
        let message = DynamicMessage::decode(self.0.clone(), bytes)
            .map_err(|error| Status::internal(error.to_string()))?;
        Ok(Some(message))
    }
}

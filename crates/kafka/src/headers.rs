//! Headers of any record.

use std::ffi::CStr;
use std::marker::PhantomData;
use std::ptr;

use rdkafka::bindings::{rd_kafka_header_get_all, rd_kafka_headers_t};
use rdkafka::message::BorrowedHeaders;
use rdkafka::types::RDKafkaRespErr;

/// A header as it is in the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawHeader<'a> {
    /// Its name, usually UTF-8.
    pub name: &'a [u8],
    /// Its value; `None` is Kafka's null.
    pub value: Option<&'a [u8]>,
}

/// The headers of a record in their order. rdkafka's own accessors panic at a name that is not UTF-8, and any
/// producer may write one.
pub fn raw_headers(headers: &BorrowedHeaders) -> impl Iterator<Item = RawHeader<'_>> {
    // The reference is librdkafka's own pointer: rdkafka makes it so, and casts it back in the same way.
    let native: *const BorrowedHeaders = headers;
    Iter { native: native.cast(), next: 0, headers: PhantomData }
}

struct Iter<'a> {
    native: *const rd_kafka_headers_t,
    next: usize,
    headers: PhantomData<&'a BorrowedHeaders>,
}

impl<'a> Iterator for Iter<'a> {
    type Item = RawHeader<'a>;

    fn next(&mut self) -> Option<RawHeader<'a>> {
        let (mut name, mut value, mut size) = (ptr::null(), ptr::null(), 0);
        // SAFETY: `native` is valid as long as the headers are borrowed; the other pointers are to locals.
        let result =
            unsafe { rd_kafka_header_get_all(self.native, self.next, &mut name, &mut value, &mut size) };
        if result != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
            return None;
        }
        self.next += 1;
        // SAFETY: librdkafka returns a C string, and null or `size` bytes, that live as long as the headers.
        let (name, value) = unsafe {
            let value: *const u8 = value.cast();
            let bytes = (!value.is_null()).then(|| std::slice::from_raw_parts(value, size));
            (CStr::from_ptr(name), bytes)
        };
        Some(RawHeader { name: name.to_bytes(), value })
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::bindings::rd_kafka_header_add;
    use rdkafka::message::{Header, OwnedHeaders};

    use super::*;

    #[test]
    fn all_headers_are_read_whatever_they_contain() {
        let headers = OwnedHeaders::new().insert(Header { key: "a", value: Some("text") });
        let native: *const BorrowedHeaders = headers.as_borrowed();
        // SAFETY: this is librdkafka's own pointer, and it copies the name.
        unsafe { rd_kafka_header_add(native.cast_mut().cast(), c"caf\xe9".as_ptr(), -1, ptr::null(), 0) };
        let headers = headers
            .insert(Header { key: "a", value: Some(&[0xff_u8, 0][..]) })
            .insert(Header { key: "", value: Some(&[][..] as &[u8]) });
        let found: Vec<_> =
            raw_headers(headers.as_borrowed()).map(|header| (header.name, header.value)).collect();
        let expected: [(&[u8], Option<&[u8]>); 4] =
            [(b"a", Some(b"text")), (b"caf\xe9", None), (b"a", Some(&[0xff, 0])), (b"", Some(b""))];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_record_may_have_no_headers() {
        assert_eq!(raw_headers(OwnedHeaders::new().as_borrowed()).count(), 0);
    }
}

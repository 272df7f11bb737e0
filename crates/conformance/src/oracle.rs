//! The tables of a correct consumer: those of the same consumer, undisturbed.

use std::collections::{BTreeMap, VecDeque};

use fastrand::Rng;

use crate::cuts::{Cuts, Place};
use crate::error::Error;
use crate::property::Property;
use crate::record::{Record, StreamId};
use crate::script::{Expected, Sent};
use crate::tables::Tables;
use crate::trial::{Batch, Setup, Trial};
use crate::trial_error::TrialError;

/// What the tables must be in the end.
#[derive(Debug)]
pub(crate) struct Oracle {
    all: Tables,
    /// None: no property that is tested needs them.
    intact: Option<Tables>,
}

impl Oracle {
    /// Runs the consumer on undisturbed records, one record a transaction: the whole history, the same with its streams
    /// interleaved otherwise, and, if one of the properties needs it, what is left without the damaged events.
    pub(crate) async fn ask(
        setup: Setup<'_>,
        records: &[Record],
        cuts: &Cuts,
        random: &mut Rng,
        properties: &[Property],
    ) -> Result<Self, Error> {
        let otherwise = interleave(records, random);
        let intact = async {
            if properties.iter().all(|property| property.expected() == Expected::All) {
                return Ok(None);
            }
            let intact = records.iter().filter(|it| cuts.place(it) == Place::Intact).collect();
            undisturbed(setup, "oracle_intact", intact).await.map(Some)
        };
        let (all, again, intact) = tokio::try_join!(
            undisturbed(setup, "oracle", records.iter().collect()),
            undisturbed(setup, "oracle_again", otherwise),
            intact,
        )?;
        let columns = all.differing_columns(&again);
        if columns.is_empty() {
            return Ok(Self { all, intact });
        }
        Err(Error::NoOracle(format!(
            "these columns differ between two runs on the same events, in another order of the streams and at another \
             time: {}; if that is intended, add them to excluded_columns",
            columns.join(", ")
        )))
    }

    pub(crate) fn tables(&self, expected: Expected) -> &Tables {
        match expected {
            Expected::All => &self.all,
            Expected::Intact => self.intact.as_ref().unwrap_or(&self.all),
        }
    }

    /// Whether the damaged events change the tables at all.
    pub(crate) fn shows_damage(&self) -> bool {
        self.intact.as_ref().is_some_and(|intact| *intact != self.all)
    }
}

async fn undisturbed(setup: Setup<'_>, name: &str, records: Vec<&Record>) -> Result<Tables, Error> {
    let run = async {
        let _turn = setup.servers.wait_for_turn().await;
        let mut trial = Trial::create(setup, name).await?;
        trial.write_all(records.into_iter().map(Sent::applied).collect()).await?;
        trial.start(Batch::Single).await?;
        trial.finish_as_oracle().await
    };
    run.await.map_err(|error| match error {
        TrialError::Kit(error) => error,
        TrialError::Consumer(failure) => {
            Error::NoOracle(format!("it does not apply the undisturbed history:\n{failure}"))
        }
    })
}

/// The records in another order of the streams; each stream keeps its own.
fn interleave<'a>(records: &'a [Record], random: &mut Rng) -> Vec<&'a Record> {
    let mut streams: BTreeMap<StreamId, VecDeque<&Record>> = BTreeMap::new();
    for record in records {
        streams.entry(record.stream_id()).or_default().push_back(record);
    }
    let mut streams: Vec<_> = streams.into_values().collect();
    let mut interleaved = Vec::with_capacity(records.len());
    while !streams.is_empty() {
        let index = random.usize(..streams.len());
        match streams[index].pop_front() {
            Some(record) => interleaved.push(record),
            None => drop(streams.swap_remove(index)),
        }
    }
    interleaved
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stream_keeps_its_order() {
        let record = |index: u64| Record {
            topic: 0,
            stream: format!("s-{}", index % 5),
            revision: index / 5,
            event_type: "T".to_owned(),
            key: Vec::new(),
            value: None,
            headers: Vec::new(),
            damage: None,
        };
        let records: Vec<_> = (0..50).map(record).collect();
        let interleaved = interleave(&records, &mut Rng::with_seed(1));
        assert_eq!(interleaved.len(), 50);
        for stream in 0..5 {
            let of_stream = interleaved.iter().filter(|it| it.stream == format!("s-{stream}"));
            assert!(of_stream.map(|it| it.revision).eq(0..10));
        }
        let order = |records: Vec<&Record>| records.iter().map(|it| it.stream.clone()).collect::<Vec<_>>();
        assert_ne!(order(interleaved), order(records.iter().collect()));
    }
}

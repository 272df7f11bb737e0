//! The topics are deleted and created again while the consumer is stopped.

use crate::properties::Material;
use crate::property::Property;
use crate::script::{Expected, Sent};
use crate::strikes::Strikes;
use crate::trial::{Batch, Trial};
use crate::trial_error::TrialError;

/// A consumer that has stored the ids of the topics must notice new ones that are longer than what was read. For any other the
/// new ones are shorter. They get all records when a person has accepted them.
pub(super) async fn run(material: Material<'_>, strikes: &mut Strikes) -> Result<(), TrialError> {
    let Material { records, .. } = material;
    let mut trial = Trial::create(material.setup, &material.name(Property::TopicRecreated)).await?;
    let before = &records[..records.len() / 2];
    trial.write_all(before.iter().map(Sent::applied).collect()).await?;
    trial.start(Batch::Own).await?;
    trial.catch_up().await?;
    trial.stop(0).await?;

    let length = if trial.knows_topics().await? { records.len() * 3 / 4 } else { records.len() / 4 };
    let after = &records[..length];
    strikes.add("topic created again", trial.create_topics_again().await?);
    trial.write_all(after.iter().map(Sent::applied).collect()).await?;
    trial.expect_halt("a topic that was read was deleted and created again").await?;
    trial.accept().await?;
    trial.write_all(records[after.len()..].iter().map(Sent::applied).collect()).await?;
    trial.start(Batch::Own).await?;
    trial.finish(material.oracle.tables(Expected::All)).await
}

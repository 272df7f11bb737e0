//! Which partition, and which lane, a stream belongs to.

/// Java's `org.apache.kafka.common.utils.Utils.murmur2`. The partition is computed here and not by
/// librdkafka, so that the lane of a stream and the partition of its records cannot disagree.
fn murmur2(data: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    const R: u32 = 24;
    const SEED: u32 = 0x9747_b28c;

    // A key is a stream name: far below 4 GiB.
    let mut h = SEED ^ data.len() as u32;
    let mut words = data.chunks_exact(4);
    for word in &mut words {
        let mut k = u32::from_le_bytes([word[0], word[1], word[2], word[3]]);
        k = k.wrapping_mul(M);
        k ^= k >> R;
        h = h.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        for (n, byte) in rest.iter().enumerate() {
            h ^= u32::from(*byte) << (8 * n);
        }
        h = h.wrapping_mul(M);
    }
    h ^= h >> 13;
    h = h.wrapping_mul(M);
    h ^ (h >> 15)
}

/// The partition of a key among `partitions`, as Java's default partitioner (and librdkafka's
/// `murmur2_random`) chooses it. With the number of lanes it is the lane: as the partitions are a multiple of
/// the lanes, all partitions of a lane are its own.
pub fn partition_of(key: &str, partitions: u32) -> u32 {
    (murmur2(key.as_bytes()) & 0x7fff_ffff) % partitions
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hashes_as_kafkas_own_test_says() {
        // The cases of UtilsTest.testMurmur2 in Apache Kafka.
        for (key, expected) in [
            ("21", -973_932_308_i32),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()) as i32, expected, "{key}");
        }
    }

    proptest! {
        #[test]
        fn a_partition_belongs_to_one_lane(key in ".{0,40}", lanes in 1_u32..9, each in 1_u32..9) {
            prop_assert_eq!(partition_of(&key, lanes * each) % lanes, partition_of(&key, lanes));
        }
    }
}

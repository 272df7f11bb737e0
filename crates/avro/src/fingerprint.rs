//! Fingerprints of the canonical form.

use sha2::{Digest as _, Sha256};

use crate::schema::Schema;

/// CRC-64-AVRO of the specification: reflected, and begun with its own polynomial.
const EMPTY: u64 = 0xc15d_213a_a4d7_a795;

const fn table() -> [u64; 256] {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut entry = index as u64;
        let mut bit = 0;
        while bit < 8 {
            entry = (entry >> 1) ^ (EMPTY & (entry & 1).wrapping_neg());
            bit += 1;
        }
        table[index] = entry;
        index += 1;
    }
    table
}

const TABLE: [u64; 256] = table();

impl Schema {
    /// The CRC-64-AVRO fingerprint, as single-object encoding has it: little-endian after `c3 01`.
    pub fn fingerprint_crc64(&self) -> [u8; 8] {
        let fingerprint = self.canonical_form().bytes().fold(EMPTY, |fingerprint, byte| {
            (fingerprint >> 8) ^ TABLE[((fingerprint ^ u64::from(byte)) & 0xff) as usize]
        });
        fingerprint.to_le_bytes()
    }

    /// The SHA-256 fingerprint.
    pub fn fingerprint_sha256(&self) -> [u8; 32] {
        Sha256::digest(self.canonical_form()).into()
    }
}

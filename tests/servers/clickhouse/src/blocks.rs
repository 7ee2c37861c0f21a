//! ClickHouse's compressed blocks (`?decompress=1`): checksum of 16 bytes, method, two sizes of 32 bits, data.

const CHECKSUM: usize = 16;
const HEAD: usize = CHECKSUM + 9;

pub fn unpack(mut bytes: &[u8]) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    while !bytes.is_empty() {
        let truncated = || "Code: 33. DB::Exception: truncated block. (CANNOT_READ_ALL_DATA)".to_owned();
        let number = |at: usize| -> Result<usize, String> {
            let four = bytes.get(at..at + 4).ok_or_else(truncated)?;
            Ok(u32::from_le_bytes(four.try_into().unwrap_or_default()) as usize)
        };
        let (packed, unpacked) = (number(CHECKSUM + 1)?, number(CHECKSUM + 5)?);
        let data = bytes.get(HEAD..CHECKSUM + packed).ok_or_else(truncated)?;
        let wrong = |error: String| format!("Code: 271. DB::Exception: {error}");
        match bytes[CHECKSUM] {
            0x02 => out.extend_from_slice(data),
            0x82 => out.extend(lz4_flex::block::decompress(data, unpacked).map_err(|error| wrong(error.to_string()))?),
            0x90 => out.extend(zstd::bulk::decompress(data, unpacked).map_err(|error| wrong(error.to_string()))?),
            method => {
                return Err(format!(
                    "Code: 89. DB::Exception: compression method {method}. (UNKNOWN_COMPRESSION_METHOD)"
                ));
            }
        }
        bytes = &bytes[CHECKSUM + packed..];
    }
    Ok(out)
}

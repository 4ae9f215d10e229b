//! CBOR bodies of smithy's rpc-v2-cbor, as JSON values: both have maps, lists, text and numbers.

use minicbor::data::{IanaTag, Type};
use minicbor::{Decoder, Encoder, decode, encode};
use serde_json::{Map, Number, Value};

/// Deeper input is nobody's request.
const DEPTH_MAX: usize = 32;

/// Reads one whole value; tags are passed over, so that a timestamp is its seconds.
pub fn read(bytes: &[u8]) -> Result<Value, String> {
    let mut decoder = Decoder::new(bytes);
    let value = value(&mut decoder, DEPTH_MAX).map_err(|e| e.to_string())?;
    if decoder.position() == bytes.len() { Ok(value) } else { Err("there is more after the value".to_owned()) }
}

/// Writes a value; numbers under a name that ends with `Timestamp` or `Timestamps` are timestamps.
pub fn write(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    put(&mut Encoder::new(&mut bytes), value, false).expect("a vector takes every byte");
    bytes
}

fn value(decoder: &mut Decoder<'_>, depth: usize) -> Result<Value, decode::Error> {
    let Some(depth) = depth.checked_sub(1) else { return Err(decode::Error::message("it is too deep")) };
    Ok(match decoder.datatype()? {
        Type::Bool => Value::Bool(decoder.bool()?),
        Type::Null => decoder.null().map(|()| Value::Null)?,
        Type::Undefined => decoder.undefined().map(|()| Value::Null)?,
        Type::F16 | Type::F32 | Type::F64 => {
            Number::from_f64(decoder.f64()?).map(Value::Number).ok_or_else(|| decode::Error::message("a number is not finite"))?
        }
        Type::String | Type::StringIndef => Value::String(text(decoder)?),
        Type::Tag => {
            decoder.tag()?;
            value(decoder, depth)?
        }
        Type::Array | Type::ArrayIndef => {
            let mut list = Vec::new();
            let length = decoder.array()?;
            while more(decoder, length, list.len())? {
                list.push(value(decoder, depth)?);
            }
            Value::Array(list)
        }
        Type::Map | Type::MapIndef => {
            let mut map = Map::new();
            let length = decoder.map()?;
            while more(decoder, length, map.len())? {
                let key = text(decoder)?;
                if map.insert(key, value(decoder, depth)?).is_some() {
                    return Err(decode::Error::message("a key stands twice in a map"));
                }
            }
            Value::Object(map)
        }
        Type::U8 | Type::U16 | Type::U32 | Type::U64 => Value::from(decoder.u64()?),
        Type::I8 | Type::I16 | Type::I32 | Type::I64 => Value::from(decoder.i64()?),
        other => return Err(decode::Error::message(format!("a value of type {other} is not expected"))),
    })
}

/// Whether another item follows; takes the end mark of a list or map whose length was not given.
fn more(decoder: &mut Decoder<'_>, length: Option<u64>, read: usize) -> Result<bool, decode::Error> {
    match length {
        Some(length) => Ok((read as u64) < length),
        None if decoder.datatype()? == Type::Break => decoder.skip().map(|()| false),
        None => Ok(true),
    }
}

fn text(decoder: &mut Decoder<'_>) -> Result<String, decode::Error> {
    decoder.str_iter()?.collect()
}

type Put = Result<(), encode::Error<std::convert::Infallible>>;

fn put(encoder: &mut Encoder<&mut Vec<u8>>, value: &Value, timestamp: bool) -> Put {
    match value {
        Value::Null => encoder.null()?,
        Value::Bool(flag) => encoder.bool(*flag)?,
        Value::String(text) => encoder.str(text)?,
        Value::Number(number) => return put_number(encoder, number, timestamp),
        Value::Array(list) => {
            encoder.array(list.len() as u64)?;
            return list.iter().try_for_each(|item| put(encoder, item, timestamp));
        }
        Value::Object(map) => {
            encoder.map(map.len() as u64)?;
            for (name, value) in map {
                encoder.str(name)?;
                put(encoder, value, name.ends_with("Timestamp") || name.ends_with("Timestamps"))?;
            }
            return Ok(());
        }
    };
    Ok(())
}

fn put_number(encoder: &mut Encoder<&mut Vec<u8>>, number: &Number, timestamp: bool) -> Put {
    if timestamp {
        encoder.tag(IanaTag::Timestamp)?;
    }
    match (number.as_u64(), number.as_i64()) {
        (Some(number), _) => encoder.u64(number)?,
        (None, Some(number)) => encoder.i64(number)?,
        (None, None) => encoder.f64(number.as_f64().unwrap_or_default())?,
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_written_is_read_again() {
        let value = json!({ "Text": "ä", "List": [1, -1, 1.5, true, null], "Timestamps": [1767225600.0], "Empty": {} });
        assert_eq!(read(&write(&value)), Ok(value));
    }

    #[test]
    fn timestamps_have_their_tag() {
        assert_eq!(write(&json!({ "StateUpdatedTimestamp": 1 })).last_chunk(), Some(&[0xc1, 0x01]));
        assert_eq!(write(&json!({ "Values": [1] })).last_chunk(), Some(&[0x81, 0x01]));
    }

    #[test]
    fn lengths_may_be_left_open_as_the_sdk_does() {
        // {_ "a": [_ 1, tag 1 (2.0 as a half)], "b": (_ "x", "y")}
        let bytes = [0xbf, 0x61, b'a', 0x9f, 0x01, 0xc1, 0xf9, 0x40, 0x00, 0xff, 0x61, b'b', 0x7f, 0x61, b'x', 0x61, b'y', 0xff, 0xff];
        assert_eq!(read(&bytes), Ok(json!({ "a": [1, 2.0], "b": "xy" })));
    }

    #[test]
    fn what_is_no_whole_value_is_refused() {
        let whole = write(&json!({ "a": [1, 2, 3], "b": "text" }));
        assert!((0..whole.len()).all(|end| read(&whole[..end]).is_err()));
        assert!(read(b"<html>").is_err() && read(&[whole, vec![0]].concat()).is_err());
        assert!(read(&[0x81; 100]).is_err(), "too deep");
        assert!(read(&[0xa2, 0x61, b'a', 0x01, 0x61, b'a', 0x02]).is_err(), "the same key twice");
        assert!(read(&[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]).is_err(), "a list as long as nothing is");
    }
}

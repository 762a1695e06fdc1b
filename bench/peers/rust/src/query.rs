//! The parameters of a callback's URL, and whether the platform has signed them.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use sha2::{Digest as _, Sha256};

pub const APP_ID: &str = "1400000000";
const TOKEN: &str = "token-a";
const SKEW_S: i64 = 60;

#[derive(Default)]
pub struct Query<'a> {
    pub app: Cow<'a, str>,
    pub command: Cow<'a, str>,
    pub client_ip: Cow<'a, str>,
    pub platform: Cow<'a, str>,
    pub sign: Cow<'a, str>,
    pub request_time: Cow<'a, str>,
}

impl<'a> Query<'a> {
    pub fn parse(text: &'a str) -> Self {
        let mut query = Self::default();
        for pair in text.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let place = match name {
                "SdkAppid" => &mut query.app,
                "CallbackCommand" => &mut query.command,
                "ClientIP" => &mut query.client_ip,
                "OptPlatform" => &mut query.platform,
                "Sign" => &mut query.sign,
                "RequestTime" => &mut query.request_time,
                _ => continue,
            };
            *place = decode(value);
        }
        query
    }

    /// Whether the platform has sent it, and lately.
    pub fn is_authentic(&self, now: DateTime<Utc>) -> bool {
        let digest = hex(&Sha256::new()
            .chain_update(TOKEN)
            .chain_update(self.request_time.as_bytes())
            .finalize());
        let is_lately = |at: i64| (now.timestamp() - at).abs() <= SKEW_S;
        is_equal(self.sign.as_bytes(), digest.as_bytes())
            && self.app == APP_ID
            && self.request_time.parse::<i64>().is_ok_and(is_lately)
    }
}

/// Takes the same time wherever they differ.
fn is_equal(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len() && left.iter().zip(right).fold(0, |all, (a, b)| all | (a ^ b)) == 0
}

/// Percent-encoding as in forms. What is none stays as it is.
fn decode(value: &str) -> Cow<'_, str> {
    if !value.contains(['%', '+']) {
        return Cow::Borrowed(value);
    }
    let bytes = value.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let digits = bytes.get(at + 1..at + 3).and_then(|pair| str::from_utf8(pair).ok());
        match (bytes[at], digits.and_then(|pair| u8::from_str_radix(pair, 16).ok())) {
            (b'%', Some(byte)) => {
                out.push(byte);
                at += 2;
            }
            (b'+', _) => out.push(b' '),
            (byte, _) => out.push(byte),
        }
        at += 1;
    }
    Cow::Owned(String::from_utf8_lossy(&out).into_owned())
}

pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| char::from(DIGITS[usize::from(digit)]))
        .collect()
}

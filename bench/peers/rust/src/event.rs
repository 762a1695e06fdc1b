//! What becomes of a callback: the record's key and its value, a CloudEvents envelope around the data.

use std::borrow::Cow;

use blake2::{Blake2b, Digest as _, digest::consts::U16};
use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::query::{APP_ID, Query, hex};

/// The body by the platform's names, and the data of the event by ours.
#[derive(Deserialize, Serialize)]
struct Data<'a> {
    #[serde(
        rename(deserialize = "From_Account"),
        borrow,
        skip_serializing_if = "Option::is_none"
    )]
    from_account: Option<Cow<'a, str>>,
    #[serde(rename(deserialize = "To_Account"), borrow, skip_serializing_if = "Option::is_none")]
    to_account: Option<Cow<'a, str>>,
    #[serde(
        rename(deserialize = "Report_Account"),
        borrow,
        skip_serializing_if = "Option::is_none"
    )]
    report_account: Option<Cow<'a, str>>,
    #[serde(
        rename(deserialize = "Peer_Account"),
        borrow,
        skip_serializing_if = "Option::is_none"
    )]
    peer_account: Option<Cow<'a, str>>,
    #[serde(rename(deserialize = "MsgSeq"), skip_serializing_if = "Option::is_none")]
    msg_seq: Option<i64>,
    #[serde(rename(deserialize = "MsgRandom"), skip_serializing_if = "Option::is_none")]
    msg_random: Option<i64>,
    #[serde(rename(deserialize = "MsgTime"), skip_serializing_if = "Option::is_none")]
    msg_time: Option<i64>,
    #[serde(rename(deserialize = "MsgKey"), borrow, skip_serializing_if = "Option::is_none")]
    msg_key: Option<Cow<'a, str>>,
    #[serde(rename(deserialize = "SendMsgResult"), skip_serializing_if = "Option::is_none")]
    send_msg_result: Option<u64>,
    #[serde(rename(deserialize = "ErrorInfo"), borrow, skip_serializing_if = "Option::is_none")]
    error_info: Option<Cow<'a, str>>,
    #[serde(rename(deserialize = "LastReadTime"), skip_serializing_if = "Option::is_none")]
    last_read_time: Option<u64>,
    #[serde(rename(deserialize = "UnreadMsgNum"), skip_serializing_if = "Option::is_none")]
    unread_total: Option<i64>,
    #[serde(rename(deserialize = "MsgBody"), borrow, skip_serializing_if = "Option::is_none")]
    msg_body: Option<&'a RawValue>,
    #[serde(rename(deserialize = "EventTime"), skip_serializing)]
    event_time: Option<u64>,
}

#[derive(Serialize)]
struct Event<'a> {
    specversion: &'a str,
    id: String,
    source: &'a str,
    r#type: &'a str,
    subject: &'a str,
    time: String,
    datacontenttype: &'a str,
    dataschema: String,
    callbackcommand: &'a str,
    receivedtime: String,
    platform: String,
    clientip: &'a str,
    data: &'a Data<'a>,
}

/// One of the values that make an event unique.
enum Part<'a> {
    Text(&'a str),
    Number(u64),
}

/// Key and value of the record, None for a body that is not one of a known command.
pub fn normalize(query: &Query<'_>, body: &[u8], now: DateTime<Utc>) -> Option<(String, Vec<u8>)> {
    use Part::{Number, Text};
    let data: Data<'_> = serde_json::from_slice(body).ok()?;
    let text = |field: &'_ Option<Cow<'_, str>>| field.as_deref().map(str::to_owned);
    let (sender, receiver, key) = (
        data.from_account.as_deref(),
        data.to_account.as_deref(),
        data.msg_key.as_deref(),
    );
    let (kind, subject, id) = match &*query.command {
        "C2C.CallbackAfterMsgWithDraw" => {
            let id = event_id(query, &[Text(sender?), Text(receiver?), Text(key?)]);
            ("im.c2c.message.recalled", text(&data.to_account)?, id)
        }
        "C2C.CallbackAfterSendMsg" => {
            let id = event_id(
                query,
                &[
                    Text(sender?),
                    Text(receiver?),
                    Text(key?),
                    Number(data.send_msg_result?),
                ],
            );
            ("im.c2c.message.sent", text(&data.to_account)?, id)
        }
        "C2C.CallbackAfterMsgReport" => {
            let (reader, peer) = (data.report_account.as_deref()?, data.peer_account.as_deref()?);
            let id = event_id(
                query,
                &[
                    Text(reader),
                    Text(peer),
                    Number(data.last_read_time?),
                    Number(data.event_time?),
                ],
            );
            ("im.c2c.conversation.read", text(&data.report_account)?, id)
        }
        _ => return None,
    };
    let at = data
        .event_time
        .and_then(|at| DateTime::from_timestamp_millis(at.try_into().ok()?))
        .unwrap_or(now);
    let event = Event {
        specversion: "1.0",
        id,
        source: "/tencent-im/1400000000",
        r#type: kind,
        subject: &subject,
        time: at.to_rfc3339_opts(SecondsFormat::Millis, true),
        datacontenttype: "application/json",
        dataschema: format!("urn:im-bridge:schemas/{kind}.json"),
        callbackcommand: &query.command,
        receivedtime: now.to_rfc3339_opts(SecondsFormat::Millis, true),
        platform: query.platform.to_lowercase(),
        clientip: &query.client_ip,
        data: &data,
    };
    let mut value = Vec::with_capacity(1024);
    serde_json::to_writer(&mut value, &event).ok()?;
    Some((subject, value))
}

/// The id that the bridge gives: BLAKE2b over the app, the command and the identity, as MessagePack.
fn event_id(query: &Query<'_>, identity: &[Part<'_>]) -> String {
    let mut packed = Vec::with_capacity(256);
    packed.push(0x90 | (2 + identity.len()) as u8);
    for part in [Part::Text(APP_ID), Part::Text(&query.command)].iter().chain(identity) {
        match part {
            Part::Text(text) => pack_text(&mut packed, text.as_bytes()),
            Part::Number(number) => pack_number(&mut packed, *number),
        }
    }
    hex(&Blake2b::<U16>::digest(&packed))
}

fn pack_text(out: &mut Vec<u8>, text: &[u8]) {
    match text.len() {
        size @ 0..32 => out.push(0xa0 | size as u8),
        size @ 32..256 => out.extend([0xd9, size as u8]),
        size => out.extend([0xda, (size >> 8) as u8, size as u8]),
    }
    out.extend(text);
}

fn pack_number(out: &mut Vec<u8>, number: u64) {
    let (code, size) = match number {
        0..0x80 => return out.push(number as u8),
        0x80..0x100 => (0xcc, 1),
        0x100..0x1_0000 => (0xcd, 2),
        0x1_0000..0x1_0000_0000 => (0xce, 4),
        _ => (0xcf, 8),
    };
    out.push(code);
    out.extend(&number.to_be_bytes()[8 - size..]);
}

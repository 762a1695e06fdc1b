//! What a strong Rust engineer writes in place of the bridge: hyper on one thread of tokio, verify, normalize, publish with
//! librdkafka, reply after the delivery report. It has no journal: while Kafka is away it waits, and answers 503 after
//! 1.9 s.
//!
//! `rust-server PORT`; BENCH_BOOTSTRAP and BENCH_TOPIC say where events go.

mod event;
mod query;

use std::{convert::Infallible, env, time::Duration};

use chrono::Utc;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{CONTENT_TYPE, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use rdkafka::{
    ClientConfig,
    message::{Header, OwnedHeaders},
    producer::{FutureProducer, FutureRecord},
};
use tokio::{net::TcpListener, time::timeout};

use crate::query::Query;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const OK: &[u8] = br#"{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0}"#;
const FAILED: &[u8] = br#"{"ActionStatus":"FAIL","ErrorInfo":"refused","ErrorCode":1}"#;
const MAX_BODY: usize = 1 << 20;
const TIMEOUT: Duration = Duration::from_millis(1900);

/// Where events go.
struct Outlet {
    producer: FutureProducer,
    topic: String,
    headers: OwnedHeaders,
}

/// As safe as the bridge: idempotent, acks=all.
fn connect() -> Outlet {
    let producer = ClientConfig::new()
        .set(
            "bootstrap.servers",
            env::var("BENCH_BOOTSTRAP").expect("BENCH_BOOTSTRAP"),
        )
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set("partitioner", "murmur2_random")
        .set("linger.ms", "1")
        .create()
        .expect("a producer");
    let content_type = Header {
        key: "content-type",
        value: Some("application/cloudevents+json"),
    };
    Outlet {
        producer,
        topic: env::var("BENCH_TOPIC").expect("BENCH_TOPIC"),
        headers: OwnedHeaders::new().insert(content_type),
    }
}

async fn handle(request: Request<Incoming>, outlet: &Outlet) -> Result<Response<Full<Bytes>>, Infallible> {
    let status = status(request, outlet).await;
    let mut response = Response::new(Full::new(Bytes::from_static(if status == StatusCode::OK {
        OK
    } else {
        FAILED
    })));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

/// Does with a callback all that is to be done.
async fn status(request: Request<Incoming>, outlet: &Outlet) -> StatusCode {
    let now = Utc::now();
    let uri = request.uri().clone();
    let query = Query::parse(uri.query().unwrap_or_default());
    if request.method() != Method::POST || !query.is_authentic(now) {
        return StatusCode::FORBIDDEN;
    }
    let Ok(body) = Limited::new(request.into_body(), MAX_BODY).collect().await else {
        return StatusCode::BAD_REQUEST;
    };
    let Some((key, value)) = event::normalize(&query, &body.to_bytes(), now) else {
        return StatusCode::BAD_REQUEST;
    };
    let record = FutureRecord::to(&outlet.topic)
        .key(&key)
        .payload(&value)
        .headers(outlet.headers.clone())
        .timestamp(now.timestamp_millis());
    let Ok(delivery) = outlet.producer.send_result(record) else {
        return StatusCode::SERVICE_UNAVAILABLE;
    };
    match timeout(TIMEOUT, delivery).await {
        Ok(Ok(Ok(_))) => StatusCode::OK,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let port = env::args().nth(1).expect("usage: rust-server PORT");
    let outlet: &'static Outlet = Box::leak(Box::new(connect()));
    let listener = TcpListener::bind(format!("127.0.0.1:{port}"))
        .await
        .expect("the port is free");
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let _ = stream.set_nodelay(true);
        let service = service_fn(move |request| handle(request, outlet));
        tokio::spawn(
            http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), service),
        );
    }
}

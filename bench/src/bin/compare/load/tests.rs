//! Loads against a contender of a few lines, which goes wrong as it is told.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    task::{LocalSet, spawn_local},
};

use super::*;

/// A contender that goes wrong at the callbacks that `breaks` says, in the way that `body` says.
async fn contender(breaks: fn(usize) -> bool, body: fn(&str) -> Option<String>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    spawn_local(async move {
        let number = Rc::new(Cell::new(0));
        while let Ok((stream, _)) = listener.accept().await {
            spawn_local(answer_all(stream, Rc::clone(&number), breaks, body));
        }
    });
    address
}

async fn answer_all(
    mut stream: TcpStream,
    number: Rc<Cell<usize>>,
    breaks: fn(usize) -> bool,
    body: fn(&str) -> Option<String>,
) {
    let mut bytes = vec![0; 4096];
    while let Ok(read @ 1..) = stream.read(&mut bytes).await {
        let request = String::from_utf8_lossy(&bytes[..read]).into_owned();
        let remark = request.split("\"remark\":\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a remark");
        number.set(number.get() + 1);
        let answer = if breaks(number.get()) { body(remark) } else { Some(good(remark)) };
        // Without an answer, the connection is closed.
        let Some(answer) = answer else { return };
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", answer.len());
        let _gone = stream.write_all((head + &answer).as_bytes()).await;
    }
}

fn good(remark: &str) -> String {
    format!(
        "{{\"actionCode\":0,\"errCode\":0,\"errMsg\":\"Success\",\"errDlt\":\"\",\"nextCode\":0,\
         \"remark\":\"{remark}\"}}"
    )
}

/// Sends some callbacks in both kinds of loop.
async fn load(breaks: fn(usize) -> bool, body: fn(&str) -> Option<String>) -> Vec<anyhow::Result<Vec<f64>>> {
    let host = contender(breaks, body).await;
    let mut outcomes = Vec::new();
    for kind in [Some(Connections::Kept), Some(Connections::New), None] {
        let load = match kind {
            Some(connections) => Load::closed(host, Kind::Remark, 4, connections).expect("captured"),
            None => Load::open(host, 4, 2000).await.expect("connected"),
        };
        load.record();
        while load.answered() < 200 && load.tally.bad.get() == 0 {
            time::sleep(Duration::from_millis(1)).await;
        }
        outcomes.push(load.finish().await);
    }
    outcomes
}

#[tokio::test]
async fn good_answers_have_latencies() {
    let outcomes = LocalSet::new().run_until(load(|_| false, |_| None)).await;
    for outcome in outcomes {
        let sorted = outcome.expect("all good");
        assert!(sorted.len() >= 200 && sorted.is_sorted() && sorted[0] > 0.0, "{} latencies", sorted.len());
    }
}

#[tokio::test]
async fn one_bad_answer_among_good_ones_voids_all() {
    let ways: [fn(&str) -> Option<String>; 4] = [
        |_| None,
        |_| Some(good("another's remark")),
        |remark| Some(good(remark).replace("\"nextCode\":0", "\"nextCode\":\"0\"")),
        |_| {
            Some(
                "{\"actionCode\":0,\"errCode\":9920,\"errMsg\":\"x\",\"errDlt\":\"\",\"nextCode\":1,\"remark\":\"\"}"
                    .into(),
            )
        },
    ];
    for (number, way) in ways.into_iter().enumerate() {
        for outcome in LocalSet::new().run_until(load(|number| number % 100 == 0, way)).await {
            let error = outcome.expect_err("void");
            assert!(error.to_string().contains("failed, such as"), "way {number}: {error:#}");
        }
    }
}

#[tokio::test]
async fn an_open_loop_counts_from_when_a_callback_was_due() {
    LocalSet::new()
        .run_until(async {
            let host = contender(|_| false, |_| None).await;
            let load = Load::open(host, 1, 1000).await.expect("connected");
            load.record();
            // Nothing is sent or answered meanwhile: this thread does all.
            let held = Duration::from_millis(50);
            while load.answered() < 10 {
                time::sleep(Duration::from_millis(1)).await;
            }
            let until = Instant::now() + held;
            while Instant::now() < until {}
            time::sleep(held).await;
            let slowest = load.finish().await.expect("all good").pop().expect("some");
            assert!(slowest >= 40_000.0, "those that were due meanwhile waited, at most {slowest} µs");
        })
        .await;
}

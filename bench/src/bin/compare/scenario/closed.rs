//! Callbacks as fast as they are answered: over kept connections, over a new one each, and over a single one.

use crate::{
    figures::{Figure, Figures},
    kind::Kind,
    lab::{CONCURRENCY, Lab, Scenario},
    load::{Connections, Load},
};
use openim_bridge_bench::contender::Contender;

/// Callbacks in flight, each on a connection of its own.
const NEW: u8 = 32;

/// The columns of every scenario with a load.
pub(super) const FIGURES: &[Figure] =
    &[Figure::CpuUs, Figure::Rate, Figure::P50Us, Figure::P99Us, Figure::P999Us, Figure::PeakMb];

macro_rules! kept {
    ($scenario:ident, $name:literal, $kind:expr, $concurrency:expr, $title:literal) => {
        pub(crate) static $scenario: Scenario = Scenario {
            name: $name,
            title: $title,
            figures: FIGURES,
            takes: |_| true,
            run: |lab, contender| Box::pin(run(lab, contender, $kind, $concurrency, Connections::Kept)),
        };
    };
}

kept!(
    KEEP_ALIVE,
    "keep-alive",
    Kind::Remark,
    CONCURRENCY,
    "64 kept connections, each callback as soon as the one before is answered"
);
kept!(
    MESSAGE,
    "message",
    Kind::Message,
    CONCURRENCY,
    "beforeSendSingleMsg as captured, 0.7 KB with its head; 64 kept connections"
);
kept!(
    MESSAGE_4K,
    "message-4k",
    Kind::LongMessage,
    CONCURRENCY,
    "beforeSendSingleMsg with a body of 4 KiB; 64 kept connections"
);
kept!(
    MODIFY,
    "modify",
    Kind::Modify,
    CONCURRENCY,
    "beforeMsgModify, whose answer changes the message's content; 64 kept connections"
);
kept!(
    ECHO,
    "echo",
    Kind::Echo,
    CONCURRENCY,
    "beforeSetGroupInfoEx, whose answer repeats what was asked; 64 kept connections"
);
kept!(
    PUSH,
    "push",
    Kind::Push,
    1,
    "beforeOnlinePush on one connection, one callback after the other, as OpenIM's push consumer sends them"
);

pub(crate) static NEW_CONNECTION: Scenario = Scenario {
    name: "new-connection",
    title: "a new connection for each callback, 32 concurrently",
    figures: FIGURES,
    takes: |_| true,
    run: |lab, contender| Box::pin(run(lab, contender, Kind::Remark, NEW, Connections::New)),
};

async fn run(
    lab: &Lab,
    contender: &Contender,
    kind: Kind,
    concurrency: u8,
    connections: Connections,
) -> anyhow::Result<Figures> {
    let mut contending = lab.start(contender).await?;
    let load = Load::closed(contending.program.address, kind, concurrency, connections)?;
    lab.measure(&mut contending, load).await
}

//! The level of the log, which belongs to the whole process.

use openim_bridge::telemetry::log;
use openim_bridge::telemetry::log::{LogFormat, LogIds, LogLevel, LogSettings};
use tracing::Level;

macro_rules! is_logged {
    ($target:literal, $level:expr) => {
        tracing::enabled!(target: $target, $level)
    };
}

#[test]
fn it_changes_while_the_program_runs_but_not_for_others_code() {
    let format = LogFormat::Json;
    log::init(&LogSettings { level: LogLevel::Info, format, private: false, ids: LogIds::Plain });
    for (level, debug, info, warn) in [
        (None, false, true, true),
        (Some(LogLevel::Debug), true, true, true),
        (Some(LogLevel::Error), false, false, false),
        (Some(LogLevel::Info), false, true, true),
    ] {
        if let Some(level) = level {
            log::set_level(level);
        }
        let ours = [
            is_logged!("openim_bridge::bridge", Level::DEBUG),
            is_logged!("openim_bridge::bridge", Level::INFO),
            is_logged!("openim_bridge::bridge", Level::WARN),
        ];
        assert_eq!(ours, [debug, info, warn], "{level:?}");
        assert!(!is_logged!("h2", Level::INFO), "{level:?}");
        assert_eq!(is_logged!("h2", Level::WARN), warn, "{level:?}");
    }
}

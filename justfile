# What is done here often. `just --list` shows it; every line works without just, too.

# The bridge and a decision service in one process, with sample callbacks.
run *args:
    cargo run --release -- demo {{ args }}

test *args:
    cargo test {{ args }}

lint:
    cargo fmt --check
    cargo clippy --all-targets --locked -- -D warnings

# What must hold before a change is merged.
ci:
    .ci/run

# The longer checks: all, or the parts named; `just full --list` names them.
full *parts:
    .ci/full {{ parts }}

# One program of bench/, such as `just bench hung --callbacks 500`.
bench name="hung" *args:
    cargo build --release --locked
    cargo run --release --locked --manifest-path bench/Cargo.toml --bin {{ name }} -- --bridge target/release/openim-bridge {{ args }}

# Every fault of docs/reliability.md under load, or those named: `just chaos --list`.
chaos *args:
    cargo build --release --locked
    cargo run --release --locked --manifest-path bench/Cargo.toml --bin chaos -- --bridge target/release/openim-bridge {{ args }}

# The same, and its table into docs/reliability.md.
chaos-docs: (chaos "--docs" "docs/reliability.md")

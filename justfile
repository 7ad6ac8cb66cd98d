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

# The bridge beside what could be put in its place: about 3 minutes after the builds. `just bench --scenarios keep-alive`.
bench *args:
    bench/contenders/build
    cargo run --release --locked --manifest-path bench/Cargo.toml --bin compare -- --bridge "$(deploy/build)" {{ args }}

# The same in five rounds and longer each: about 25 minutes on a machine that does nothing else.
bench-full *args: (bench "--full" args)

# The same, and its tables into docs/performance.md.
bench-docs: (bench-full "--docs" "docs/performance.md")

# The bridge that only forwards, beside nginx and Envoy: half a minute after the builds.
forward *args: (bench "--forward" args)

# The same in five rounds, and its tables into docs/performance.md.
forward-docs: (bench-full "--forward" "--docs" "docs/performance.md")

# After callbacks from OpenIM's own queue, beside what answers only once the service was told: about 4 minutes.
delivery *args:
    bench/contenders/build
    cargo run --release --locked --manifest-path bench/Cargo.toml --bin delivery -- --bridge "$(deploy/build)" {{ args }}

# The same, and its tables into docs/performance.md.
delivery-docs: (delivery "--docs" "docs/performance.md")

# 1,000 callbacks to a decision service that hangs: `just hung --callbacks 500`.
hung *args:
    cargo run --release --locked --manifest-path bench/Cargo.toml --bin hung -- --bridge "$(deploy/build)" {{ args }}

# Every fault of docs/reliability.md under load, or those named: `just chaos --list`.
chaos *args:
    cargo run --release --locked --manifest-path bench/Cargo.toml --bin chaos -- --bridge "$(deploy/build)" {{ args }}

# The same, and its table into docs/reliability.md.
chaos-docs: (chaos "--docs" "docs/reliability.md")

# While 4 connections flood the bridge, others wait at most 100 ms: `just floods SETTINGS PING` takes these kinds alone.
floods *args:
    cargo run --release --locked --manifest-path bench/Cargo.toml --bin floods -- --bridge "$(deploy/build)" {{ args }}

# The same, and its table into docs/reliability.md.
floods-docs: (floods "--docs" "docs/reliability.md")

# 100 times the after callbacks that the service takes, and the table into docs/after-callbacks.md.
overload-docs: (chaos "--overload" "--docs" "docs/after-callbacks.md")

# What one types often. `.ci/run` is what counts.

# List what there is.
default:
    @just --list

# Quick: formatting and lints.
check:
    cargo fmt --check
    cargo clippy --all-targets --locked -- -D warnings

# All tests, with nextest where it is installed.
test *arguments:
    if cargo nextest --version >/dev/null 2>&1; then cargo nextest run --locked {{arguments}}; else cargo test --locked {{arguments}}; fi

# Run one simulated scenario again.
replay seed:
    INTERMISSION_SEED={{seed}} cargo test --locked --test it simulation -- --nocapture

# The program killed at every system call that lasts, and at many others. With
# `INTERMISSION_BINARY` set, that program.
kill-everywhere:
    INTERMISSION_KILL_EVERYWHERE=1 cargo test --locked --test it faults::kill -- --nocapture

# Run many simulated scenarios, optimized, and say how fast that went.
simulate seeds="20000":
    INTERMISSION_SEEDS={{seeds}} cargo test --release --locked --test it whatever_happens_the_promises_hold -- --nocapture

# Measure against others: boundary, latency, tls, limits, organizations, idle, start or growth. See docs/performance.md.
bench which:
    cargo bench --locked --bench bench -- {{which}}

# Search the model with larger budgets: minutes, and about 3.5 GB.
model:
    INTERMISSION_MODEL=full cargo test --locked --test it model:: -- --nocapture --test-threads=1

# Change the deciding code in one place at a time, and see whether the tests beside it
# notice; `just mutants src/domain/plan/moves.rs`. All of it takes hours. Needs
# `cargo install cargo-mutants --locked`.
mutants +files="src/domain/**/*.rs src/reconcile.rs src/reconcile/**/*.rs":
    set -f; cargo mutants -o target $(printf -- '-f %s ' {{files}})

# libFuzzer against one of `fuzz/fuzz_targets`; `just fuzz reply -max_total_time=600`.
# Without a sanitizer: there is no unsafe code for one to look at.
fuzz target *arguments:
    mkdir -p fuzz/target/found/{{target}}
    cargo +nightly fuzz run -s none {{target}} fuzz/target/found/{{target}} fuzz/corpus/{{target}} -- -max_len={{ if target == "config" { "8192" } else { "32768" } }} -timeout=10 $(ls fuzz/dictionaries/{{target}}.dict 2>/dev/null | sed s/^/-dict=/) {{arguments}}

# The demonstration.
demo:
    cargo run --locked -- demo --for 30s

# Licences, advisories and sources of the dependencies.
deny:
    cargo deny check

# The Debian package, in target/debian. Needs `cargo install cargo-deb --locked`.
deb:
    packaging/debian/build

# All that CI does.
ci:
    CI=true bash .ci/run

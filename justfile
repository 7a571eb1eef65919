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

# Search the model with larger budgets: minutes, and about 1.5 GB.
model:
    INTERMISSION_MODEL=full cargo test --locked --test it model:: -- --nocapture --test-threads=1

# The demonstration.
demo:
    cargo run --locked -- demo --for 30s

# Licences, advisories and sources of the dependencies.
deny:
    cargo deny check

# All that CI does.
ci:
    CI=true bash .ci/run

"""What `scripts/bench` runs: real processes measured side by side in one run. Nothing here is a test."""

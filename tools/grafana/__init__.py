"""The Grafana dashboard: `panels` says what it shows, `dashboard` how Grafana wants it. `make docs` writes it."""

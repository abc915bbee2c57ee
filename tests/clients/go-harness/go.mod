module ottla.tests/harness

go 1.26.0

# Drydock: the commands. Each one is a script in deploy/local; deploy/README.md tells what they do and where things live.
SHELL := /bin/bash
LOCAL := deploy/local
.DEFAULT_GOAL := help
.PHONY: help up down clean status test check agents live bench bench-api bench-jail bench-queue bench-redact bench-workspace chaos deny fuzz sbom

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

up: ## install what is missing, start private servers and all services, run the demo job
	@$(LOCAL)/up.sh

down: ## stop what `make up` started; data stays
	@$(LOCAL)/down.sh

clean: ## down, and remove all local data (not target/)
	@$(LOCAL)/clean.sh

status: ## show each process: ready or not, pid, memory, port, log
	@$(LOCAL)/status.sh

test: ## every check and every test, on private servers of its own
	@$(LOCAL)/test.sh

check: ## format, clippy, unit tests; no servers, under three minutes when warm
	@$(LOCAL)/check.sh

agents: ## install the Codex CLI into .local/agents
	@$(LOCAL)/agents.sh

live: ## validate a running stack; BASE_URL=http://… OUTROOT=directory AGENT=name
	@$(LOCAL)/live.sh $(if $(BASE_URL),--base-url '$(BASE_URL)') $(if $(OUTROOT),--outroot '$(OUTROOT)') $(if $(AGENT),--agent '$(AGENT)')

bench: ## measure the running stack with the release build
	@$(LOCAL)/bench.sh

bench-workspace: ## measure materializing and pushing, beside cp, s5cmd and the AWS CLI
	@$(LOCAL)/bench-workspace.sh

bench-api: ## measure the API on private servers of its own with the release build
	@$(LOCAL)/bench-api.sh

bench-jail: ## measure what walls around jobs cost
	@$(LOCAL)/bench-jail.sh

bench-redact: ## measure how fast output is freed of secrets
	@$(LOCAL)/bench-redact.sh

bench-queue: ## measure the queue on private servers of its own with the release build
	@$(LOCAL)/bench-queue.sh

chaos: ## break a stack of its own and check every promise; SEED=number DURATION=20m
	@$(LOCAL)/chaos.sh $(if $(SEED),--seed '$(SEED)') $(if $(DURATION),--duration '$(DURATION)')

fuzz: ## try what reads bytes of strangers with made-up inputs; TARGET=name SECONDS=60
	@$(LOCAL)/fuzz.sh $(if $(TARGET),--target '$(TARGET)') $(if $(SECONDS),--seconds '$(SECONDS)')

sbom: ## list what is in each shipped program, as CycloneDX documents in .local/sbom
	@$(LOCAL)/sbom.sh

deny: ## hold licences, versions and sources of dependencies to deny.toml
	@$(LOCAL)/deny.sh

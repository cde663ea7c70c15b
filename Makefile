# make sweep SITES=sites.csv   look at the sites of a list; without SITES: at our own test web, offline
# make test                    every test
# make check                   what a change must pass before it is merged
# make review                  the review page of what was swept
# make bench, soak, repeat, score   the figures in docs/
# make chaos [CHAOS_SITES=500]  docs/chaos.md: a fleet on this machine is killed, cut off and filled up while it sweeps (root; an hour or two)
# make chaos-upgrade [UPGRADE_SITES=60] [UPGRADE_OLD=commit or file]   docs/chaos-upgrade.md: one that is upgraded while it sweeps, over PostgreSQL (root)
# make fleet-sim [SIM_SITES=1000000] [SIM_PRICE=0.05] [SIM_FLAGS=...]   docs/fleet-sim.md: 500 workers without browsers on a real queue and store;
#                              SIM_FLAGS: -postgres, -sync 2m, -workers, -speed, -pace, -verdicts (go run ./cmd/bench -h)
# make tour                    the pictures of docs/tour.md
# make record                  the record of the tool in docs/accountability, with the figures of score
# make frontend                the style sheet of the review page, after a change of review/frontend
# make train                   what the classifier was taught, made again from npm packages and our own grammars
# make image-check              builds the image without a registry and runs every role in it (Debian's podman and buildah, as root; minutes)
# make compose-check            starts deploy/compose with the test web in it, without a registry, and looks at every part: docs/dashboards.md (as root)
# make faults                   docs/faults.md: breaks a small fleet on purpose and shows what says so (root; ten minutes)
# make eval [DATA=folder] [SWEEP=folder] [DECISIONS=file]   docs/accuracy.md and docs/model-card.md; with the labelled sets of a folder,
#                              sweeps of the test web, and what reviewers decided
# make lab-check               is the truth of the test web true? asked of another driver
OUT   ?= pecrawler-data
FLAGS ?=
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.7.0

.PHONY: sweep review test check build setup bench soak repeat chaos chaos-upgrade fleet-sim score tour record image-check compose-check faults lab-check frontend train eval
sweep: build
	@if [ -n "$(SITES)" ]; then exec ./bin/pecrawler sweep --out "$(OUT)" $(FLAGS) "$(SITES)"; else exec ./bin/pecrawler sweep --out "$(OUT)" $(FLAGS) --lab; fi

review: build
	@exec ./bin/pecrawler review --out "$(OUT)"

setup:
	@./deploy/setup.sh

build: setup
	@go build -o bin/pecrawler ./cmd/pecrawler

test: setup
	@./deploy/prometheus/install.sh
	@./deploy/postgres/install.sh
	go test -timeout 30m ./...
	cd deploy/check && go test -count=1 ./...
	cd review/openapi && go test ./...

check: setup
	@./deploy/prometheus/install.sh
	@./deploy/postgres/install.sh
	@test -z "$$(gofmt -l .)" || { echo "not formatted by gofmt:"; gofmt -l .; exit 1; }
	go vet ./...
	go run $(STATICCHECK) ./...
	go mod tidy -diff
	cd review/provider && go vet ./... && go mod tidy -diff
	cd review/openapi && go vet ./... && go mod tidy -diff && go test ./...
	go test -timeout 45m -race -shuffle=on ./...
	go test -run 100000 ./review ./store
	@./deploy/check.sh

bench: build
	go run ./cmd/bench cost > docs/bench.md.new && mv docs/bench.md.new docs/bench.md && cat docs/bench.md

VISITS ?= 500
soak: build
	go run ./cmd/bench soak -n $(VISITS) > docs/soak.md.new && mv docs/soak.md.new docs/soak.md && cat docs/soak.md

repeat: build
	go run ./cmd/bench repeat > docs/repeat.md.new && mv docs/repeat.md.new docs/repeat.md && cat docs/repeat.md

# $(call page,FILE,COMMAND): what was missed is written down too, and then it fails.
page = $(2) > $(1).new; status=$$?; if [ -s $(1).new ]; then mv $(1).new $(1); cat $(1); else rm $(1).new; fi; exit $$status

CHAOS_SITES ?= 500
CHAOS_DATA  ?=
chaos: build
	@$(call page,docs/chaos.md,go run ./cmd/bench chaos -n $(CHAOS_SITES) --data "$(CHAOS_DATA)")

UPGRADE_SITES ?= 60
UPGRADE_OLD   ?= 26e8884
chaos-upgrade: build
	@./deploy/postgres/install.sh
	@$(call page,docs/chaos-upgrade.md,go run ./cmd/bench upgrade -n $(UPGRADE_SITES) --old "$(UPGRADE_OLD)" --data "$(CHAOS_DATA)")

SIM_SITES ?= 1000000
SIM_PRICE ?= 0.05
SIM_FLAGS ?=
fleet-sim: build
	@case " $(SIM_FLAGS) " in *" -postgres "*) ./deploy/postgres/install.sh;; esac
	@$(call page,docs/fleet-sim.md,go run ./cmd/bench fleet-sim -sites $(SIM_SITES) -price $(SIM_PRICE) $(SIM_FLAGS))

score: build
	go run ./cmd/bench score > docs/results.md.new && mv docs/results.md.new docs/results.md && cat docs/results.md
	@$(MAKE) --no-print-directory record

tour: build
	@node lab/check/tour.mjs

record:
	go run ./cmd/bench record

image-check:
	@./deploy/image/check.sh

compose-check: setup
	@./deploy/image/install.sh
	@./deploy/compose/check.sh

faults: build
	@./deploy/prometheus/install.sh
	@$(call page,docs/faults.md,go run ./deploy/faults)

CHECK_FLAGS ?= --jobs 6
lab-check: build
	@./lab/check/run.sh $(CHECK_FLAGS)

frontend:
	@./review/frontend/build.sh

train:
	go run ./cmd/train fetch
	go run ./cmd/train lists
	go run ./cmd/train controls

DATA  ?=
SWEEP ?=
DECISIONS ?=
eval:
	go run ./cmd/train fetch
	go run ./cmd/train evaluate --data "$(DATA)" --sweep "$(SWEEP)" --decisions "$(DECISIONS)"

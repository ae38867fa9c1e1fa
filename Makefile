# Both targets set everything up by themselves; where there is no make, call the scripts.
.PHONY: demo test
demo:
	@scripts/demo
test:
	@scripts/test

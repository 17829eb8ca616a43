package ledger

const childEnv = "LLMPROXY_LEDGER_TEST_CHILD"

func child() {}

"""protoc-gen-nexpo: from the contract's options to typed Python stubs and reference pages."""

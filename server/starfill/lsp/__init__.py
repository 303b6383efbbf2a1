"""The only room that imports pygls and lsprotocol: snapshot, call, convert."""

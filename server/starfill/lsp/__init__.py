"""The language server. The only room that imports pygls and lsprotocol; a handler takes a snapshot, makes one call and
converts the result.
"""

"""The language server with time-outs that are short enough for a test: python impatient_server.py --stdio"""

from starfill.cli import main
from starfill.engine.remote import connection, engine
from starfill.lsp import loading

engine.TYPING, engine.ASKING, engine.WHOLE = 1.0, 1.5, 2.5
connection.DESCRIBING = 1.0
loading.AGAIN = 0.3
main()

"""The language server with time-outs that are short enough for a test: python impatient_server.py --stdio"""

from starfill.cli.main import main
from starfill.lsp.models import model_loader
from starfill.remote import candidate_streams, engine, http

candidate_streams.TYPING, candidate_streams.ASKING, engine.WHOLE = 1.0, 1.5, 2.5
http.DESCRIBING = 1.0
model_loader.RETRY_AFTER = 0.3
main()

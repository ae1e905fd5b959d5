"""What gunicorn serves, and what ``flask db …`` finds by itself."""

import sys

from cms.app import create_app
from cms.errors import CmsError

try:
    app = create_app()
except CmsError as error:
    sys.stderr.write(f"error: {error}\n")
    raise SystemExit(4) from None  # after 3 or 4 gunicorn ends; a worker that ends with another status is started again

"""What gunicorn serves, and what ``flask db …`` finds by itself."""

from cms.app import create_app

app = create_app()

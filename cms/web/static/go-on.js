// Sends the form that a page consists of, as whoever reads it would by its button.

document.querySelector("form[data-go-on]").requestSubmit();

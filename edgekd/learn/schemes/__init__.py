"""Who teaches whom: alone (labels), offline from stored knowledge, online from a live teacher."""

"""The hospital's side over HL7 v2 and MLLP: orders and patient data in, released results out."""

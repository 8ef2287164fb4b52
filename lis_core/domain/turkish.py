"""Provisional; see git log."""

SQL_FUNCTIONS = """
create or replace function tr_ara(p text) returns text language sql immutable strict parallel safe as $$
 select lower(translate(p, 'İIıŞşĞğÜüÖöÇçÂâÎîÛû', 'iiissgguuooccaaiiuu') collate "C") $$;
create or replace function tr_sira(p text) returns text language sql immutable strict parallel safe as $$
 select lower(p collate "C") $$;
"""

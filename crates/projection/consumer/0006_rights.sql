-- Consumers call functions only, and only those for them: register grants them to the owner of a projection.
revoke all on schema aqueduct_consumer from public;
revoke execute on all functions in schema aqueduct_consumer from public;

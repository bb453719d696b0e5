-- Usage of all tenants over some days: without this it reads every day there ever was.
CREATE INDEX usage_day_by_day ON usage_day (day);

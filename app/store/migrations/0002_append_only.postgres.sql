CREATE FUNCTION publish_log_refuse() RETURNS trigger LANGUAGE plpgsql AS
'BEGIN RAISE EXCEPTION ''the publish log is append-only''; END';

CREATE TRIGGER publish_log_change BEFORE UPDATE OR DELETE OR TRUNCATE ON publish_log
FOR EACH STATEMENT EXECUTE FUNCTION publish_log_refuse();

CREATE FUNCTION publish_log_follow() RETURNS trigger LANGUAGE plpgsql AS
'BEGIN
	IF NEW.seq <> COALESCE((SELECT MAX(seq) FROM publish_log), 0) + 1
		OR NEW.previous <> COALESCE((SELECT hash FROM publish_log ORDER BY seq DESC LIMIT 1), '''') THEN
		RAISE EXCEPTION ''an entry of the publish log has to follow the last one'';
	END IF;
	RETURN NEW;
END';

CREATE TRIGGER publish_log_insert BEFORE INSERT ON publish_log
FOR EACH ROW EXECUTE FUNCTION publish_log_follow();

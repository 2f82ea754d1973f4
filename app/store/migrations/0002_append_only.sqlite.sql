CREATE TRIGGER publish_log_update BEFORE UPDATE ON publish_log
BEGIN SELECT RAISE(ABORT, 'the publish log is append-only'); END;

CREATE TRIGGER publish_log_delete BEFORE DELETE ON publish_log
BEGIN SELECT RAISE(ABORT, 'the publish log is append-only'); END;

-- INSERT OR REPLACE fires no delete trigger.
CREATE TRIGGER publish_log_insert BEFORE INSERT ON publish_log
WHEN NEW.seq <> COALESCE((SELECT MAX(seq) FROM publish_log), 0) + 1
	OR NEW.previous <> COALESCE((SELECT hash FROM publish_log ORDER BY seq DESC LIMIT 1), '')
BEGIN SELECT RAISE(ABORT, 'an entry of the publish log has to follow the last one'); END;

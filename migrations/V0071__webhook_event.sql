-- The end of a job or a batch makes its deliveries in the transaction that ends it: none is lost, none is made twice, and nothing is
-- asked or committed beyond that. Only statements that write finished_at look here at all, and without a webhook they find an empty index.

CREATE FUNCTION dd_webhook_job_v1() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE what text := 'job.' || dd_status_v1(NEW.state);
BEGIN
  INSERT INTO webhook_delivery (webhook_id, event, job_id)
  SELECT w.id, what, NEW.id FROM webhook w
   WHERE w.tenant_id = NEW.tenant_id AND NOT w.paused AND w.disabled_at IS NULL
     AND (w.project_id IS NULL OR w.project_id = NEW.project_id) AND (w.events = '{}' OR what = ANY (w.events));
  RETURN NULL;
END $$;
CREATE TRIGGER webhook AFTER UPDATE OF finished_at ON job FOR EACH ROW
  WHEN (OLD.finished_at IS NULL AND NEW.finished_at IS NOT NULL) EXECUTE FUNCTION dd_webhook_job_v1();

-- A batch may end again, after its failures were run again: its counts are those of this end.
CREATE FUNCTION dd_webhook_batch_v1() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO webhook_delivery (webhook_id, event, batch_id, data)
  SELECT w.id, 'batch.finished', NEW.id, jsonb_build_object(
           'name', NEW.name, 'labels', NEW.labels, 'created_at', NEW.created_at, 'started_at', NEW.started_at, 'finished_at', NEW.finished_at,
           'status', CASE WHEN NEW.cancel_at IS NULL AND NEW.error > 0 THEN 'error'
                          WHEN NEW.cancel_at IS NOT NULL OR NEW.cancelled > 0 THEN 'cancelled' ELSE 'completed' END,
           'total', NEW.queued + NEW.in_progress + NEW.completed + NEW.error + NEW.cancelled,
           'counts', jsonb_build_object('queued', NEW.queued, 'in_progress', NEW.in_progress, 'completed', NEW.completed,
                                        'error', NEW.error, 'cancelled', NEW.cancelled))
    FROM webhook w
   WHERE w.tenant_id = NEW.tenant_id AND NOT w.paused AND w.disabled_at IS NULL
     AND w.project_id IS NULL AND (w.events = '{}' OR 'batch.finished' = ANY (w.events));
  RETURN NULL;
END $$;
CREATE TRIGGER webhook AFTER UPDATE OF finished_at ON batch FOR EACH ROW
  WHEN (OLD.finished_at IS NULL AND NEW.finished_at IS NOT NULL) EXECUTE FUNCTION dd_webhook_batch_v1();

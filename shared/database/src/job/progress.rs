//! Progress of a running attempt, as events.

use deadpool_postgres::GenericClient;
use drydock_domain::AttemptId;

use crate::DatabaseError;

const PROGRESS: &str = "INSERT INTO event (tenant_id, project_id, job_id, kind, data)
  SELECT j.tenant_id, j.project_id, j.id, 'progress', jsonb_build_object('message', m.message, 'attempt', a.number)
    FROM attempt a JOIN job j ON j.id = a.job_id AND j.current_attempt = a.id
    CROSS JOIN unnest($2::text[]) WITH ORDINALITY AS m (message, n)
   WHERE a.id = $1 ORDER BY m.n";

/// Records progress messages of an attempt, in order; nothing once the attempt is over.
///
/// # Errors
/// The database does not answer.
pub async fn progress(conn: &impl GenericClient, attempt: AttemptId, messages: &[String]) -> Result<(), DatabaseError> {
    let failed = || DatabaseError::query("record progress");
    let clean: Vec<String> = messages.iter().map(|message| message.replace('\0', "\u{fffd}")).collect();
    let statement = conn.prepare_cached(PROGRESS).await.map_err(failed())?;
    conn.execute(&statement, &[&attempt.uuid(), &clean]).await.map_err(failed())?;
    Ok(())
}

-- A session is a job whose attempt holds a server open. A migration of its own: the transaction that adds a value cannot use it.
ALTER TYPE job_type ADD VALUE 'session';

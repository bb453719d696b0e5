-- The version a restore or a fork copied: of the same project, or of the one that `author_id` names.
ALTER TABLE version ADD COLUMN source_version int CHECK (source_version >= 0);

-- Where a batch ends, so that records that are in are known as such in whatever batch they come again: a ledger from an
-- older backup counts them anew. Batches of one producer follow each other; the end of the last one is not known.
CREATE INDEX batch_range ON batch (producer, first_seq);
ALTER TABLE batch ADD COLUMN next_seq INTEGER;
UPDATE batch SET next_seq = (
    SELECT MIN(later.first_seq) FROM batch AS later
    WHERE later.producer = batch.producer AND later.first_seq > batch.first_seq
);

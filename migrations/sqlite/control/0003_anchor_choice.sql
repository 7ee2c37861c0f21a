-- What a subscription that is not yet activated will be anchored to: start, calendar or a time of RFC 3339.
ALTER TABLE subscriptions ADD COLUMN anchor_choice TEXT NOT NULL DEFAULT 'start';

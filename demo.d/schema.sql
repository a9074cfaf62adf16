CREATE TABLE users (
    id          serial PRIMARY KEY,
    name        text NOT NULL,
    email       text NOT NULL UNIQUE,
    profile     jsonb,
    created_at  timestamp(3) NOT NULL DEFAULT now(),
    updated_at  timestamp(3)
);
CREATE TABLE posts (
    id          serial PRIMARY KEY,
    user_id     integer NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    title       text NOT NULL,
    body        text,
    price       numeric(12, 2),
    created_at  timestamp(3) NOT NULL DEFAULT now(),
    updated_at  timestamp(3)
);
CREATE TABLE comments (
    id          serial PRIMARY KEY,
    post_id     integer NOT NULL REFERENCES posts (id) ON DELETE CASCADE,
    user_id     integer NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    body        text NOT NULL,
    score       numeric(8, 3),
    created_at  timestamp(3) NOT NULL DEFAULT now()
);
CREATE INDEX ON posts (user_id);
CREATE INDEX ON comments (post_id);
CREATE INDEX ON comments (user_id);

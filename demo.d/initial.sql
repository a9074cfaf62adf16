INSERT INTO users (name, email, profile)
SELECT 'user ' || n, 'user' || n || '@example.org', jsonb_build_object('level', n % 7, 'tags', jsonb_build_array('a', n))
FROM generate_series(1, 1000) AS n;
INSERT INTO posts (user_id, title, body, price)
SELECT n % 1000 + 1, 'post ' || n, repeat('lorem ipsum ', n % 20), n / 7.0
FROM generate_series(1, 3000) AS n;
INSERT INTO comments (post_id, user_id, body, score)
SELECT n % 3000 + 1, n % 1000 + 1, 'comment ' || n, n / 3.0
FROM generate_series(1, 6000) AS n;

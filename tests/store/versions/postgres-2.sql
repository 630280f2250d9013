CREATE TABLE blob_garbage (
    blob text NOT NULL COLLATE pg_catalog."C",
    handed_out bigint DEFAULT 0 NOT NULL
);
CREATE TABLE blob_uses (
    blob text NOT NULL COLLATE pg_catalog."C",
    holder text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE event_counter (
    one boolean DEFAULT true NOT NULL,
    last bigint NOT NULL,
    CONSTRAINT event_counter_one_check CHECK (one)
)
WITH (fillfactor='10');
CREATE TABLE events (
    sequence bigint NOT NULL,
    prediction text NOT NULL COLLATE pg_catalog."C",
    created bigint NOT NULL,
    kind integer NOT NULL,
    data text NOT NULL
);
CREATE TABLE files (
    id text NOT NULL COLLATE pg_catalog."C",
    owner text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL,
    content_type text NOT NULL,
    blob text NOT NULL,
    size bigint NOT NULL,
    md5 text NOT NULL,
    sha256 text NOT NULL,
    metadata text,
    created bigint NOT NULL,
    expires bigint NOT NULL
);
CREATE TABLE predictions (
    number bigint NOT NULL,
    id text NOT NULL COLLATE pg_catalog."C",
    owner text NOT NULL COLLATE pg_catalog."C",
    model text NOT NULL,
    version text NOT NULL,
    input text NOT NULL,
    logs text DEFAULT ''::text NOT NULL,
    output text,
    error text,
    status integer DEFAULT 0 NOT NULL,
    data_removed boolean DEFAULT false NOT NULL,
    from_web boolean NOT NULL,
    created bigint NOT NULL,
    started bigint DEFAULT 0 NOT NULL,
    completed bigint DEFAULT 0 NOT NULL,
    deadline bigint NOT NULL,
    predict_seconds double precision DEFAULT 0 NOT NULL,
    webhook text,
    webhook_events integer NOT NULL,
    attempt integer DEFAULT 0 NOT NULL,
    released integer DEFAULT 0 NOT NULL,
    stream_token text COLLATE pg_catalog."C",
    public_base text,
    data_uri_output boolean NOT NULL,
    worker text,
    claimed bigint DEFAULT 0 NOT NULL,
    lease_until bigint DEFAULT 0 NOT NULL,
    preview text,
    logs_told bigint DEFAULT 0 NOT NULL,
    output_told bigint DEFAULT 0 NOT NULL,
    trace text
);
ALTER TABLE predictions ALTER COLUMN number ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME predictions_number_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE settings (
    name text NOT NULL,
    value text NOT NULL
);
CREATE TABLE store_versions (
    version integer NOT NULL,
    made timestamp with time zone DEFAULT now() NOT NULL
);
CREATE TABLE tokens (
    number bigint NOT NULL,
    name text NOT NULL,
    hash text NOT NULL,
    created bigint NOT NULL,
    revoked bigint DEFAULT 0 NOT NULL,
    priority integer DEFAULT 0 NOT NULL
);
ALTER TABLE tokens ALTER COLUMN number ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME tokens_number_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE turns (
    owner text NOT NULL COLLATE pg_catalog."C",
    served bigint NOT NULL
);
CREATE TABLE webhooks (
    number bigint NOT NULL,
    id text NOT NULL,
    prediction text NOT NULL COLLATE pg_catalog."C",
    event integer NOT NULL,
    tries integer DEFAULT 0 NOT NULL,
    created bigint NOT NULL,
    due bigint NOT NULL
);
ALTER TABLE webhooks ALTER COLUMN number ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME webhooks_number_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE workers (
    name text NOT NULL COLLATE pg_catalog."C",
    until bigint NOT NULL
);
INSERT INTO blob_garbage VALUES ('muy5mtlaqjwirmny34rryyhjm36l6se6.png', 1795688409406506);
INSERT INTO blob_uses VALUES ('fkwa5gn23rhl2pgpbxprp4fucrk26ztw.png', 'kca6vzkzs7fpf7qbsumibqcfy4');
INSERT INTO blob_uses VALUES ('rpjtuvwy4eadnlgzzgaykhbphxafcwsy.bin', 'MTZlNThjZmYtMjlkMC00MzJhLWI1MDQtZTc5ZDI4ZTU5MDNm');
INSERT INTO event_counter VALUES (true, 10);
INSERT INTO events VALUES (1, 'kca6vzkzs7fpf7qbsumibqcfy4', 1795688406149072, 0, '');
INSERT INTO events VALUES (2, 'kca6vzkzs7fpf7qbsumibqcfy4', 1795688406451433, 2, 'Using seed: 7
');
INSERT INTO events VALUES (3, 'kca6vzkzs7fpf7qbsumibqcfy4', 1795688406878146, 2, '  0%|          | 0/2 [00:00<?, ?it/s]
100%|██████████| 2/2 [00:00<00:00, 16.59it/s]
');
INSERT INTO events VALUES (5, 'kca6vzkzs7fpf7qbsumibqcfy4', 1795688407063310, 1, 'fkwa5gn23rhl2pgpbxprp4fucrk26ztw.png');
INSERT INTO events VALUES (6, 'kca6vzkzs7fpf7qbsumibqcfy4', 1795688407063310, 4, 'succeeded');
INSERT INTO events VALUES (7, '5re3urpblb65mxgycd7qpdybui', 1795688407111974, 0, '');
INSERT INTO events VALUES (8, '5re3urpblb65mxgycd7qpdybui', 1795688407139290, 2, 'Using seed: 11055
');
INSERT INTO events VALUES (9, '5re3urpblb65mxgycd7qpdybui', 1795688407159337, 4, 'failed');
INSERT INTO events VALUES (10, 'gzscxihu2iy5h6vkp77ramabxy', 1795688410706811, 4, 'canceled');
INSERT INTO files VALUES ('MTZlNThjZmYtMjlkMC00MzJhLWI1MDQtZTc5ZDI4ZTU5MDNm', 'alice', 'i.png', 'image/png', 'rpjtuvwy4eadnlgzzgaykhbphxafcwsy.bin', 11, 'da9956b8ef8ad8ee81719ef72372b5f7', '15682947068f40db3a949b430877b3384dbfe0831b4096152b1d8eb4ccb51fee', '{}', 1795688410759000, 1795774810759000);
INSERT INTO predictions OVERRIDING SYSTEM VALUE VALUES (1, 'kca6vzkzs7fpf7qbsumibqcfy4', 'alice', 'andreasjansson/stable-diffusion-inpainting', 'e490d072a34a94a11e9711ed5a6ba621c3fab884eda1665d9d3a282d65a21180', '{"prompt":"a cat","image":"data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAEAAAABACAIAAAAlC+aJAAAPwklEQVR4nLVafehuWVV+1tr7vNc+FCJIM0kqgxrNSLNRxiYLHcMPxgylKMpI8SMZSpzG0JGwL2MqKTIz0qEoiMmmRh1QovIfc8QcP9JJKyuyDDMtR3C4717refpj7XPe9/e71zv33tHN5rDPPuus/Tz7c+21t/3lpz/bGptndzbLZtGQHdEQTdE0nNFyNA7PaDE8hkd4DBvDR9hx3CdGRVZUCEMKKaEEE0wTjTLSE42oZ0tvaT29Z6u4ZO/Rl+xL9h7LkssSS89lyV299lx67roLgAAA0pbCDIIqH5VYPxxSh6CT6VM6JUnHiufX85UJbUWfKPS0cgBSByUTKPn8AQZVgcIsdSteM980RSoBqv6xmd4iVsFV+eGjJtCNh46+EXKtX2bOQdeakNAlrRwoUDZlAUEEJUoU1icocObblimBnK/axCQSFIh6iiYCFSWJggmCbTUhQTLBt6JnAjqBZAXDjlwheFVpMS1BSQSpZOlSVpRISymJpCWRFIXtlfMvUEopJUKEKKSJJrlIwIR6mtwPuIxKyQhSlJJyygmnnGqakJxq3pWUiJYi5ZTxuALFNWau6LeYhbhoIObrFpVErAQSCiirEUyU5JIJEExmYsrt3LaWUTYJzBgp9zXNrkg5KbqnmDIKOaNSpJTKFKlIZSqoSEUy6EFEMtIiLYggggpapOarFOssFBDnLCS6tPYjgwCZyYuDqbmQkhMpc8FlKXPamvCUWcXOkdboJD3dUpa0NKRpjUxjMtMyGYlMRGKkRzLSY74iUpE2EiO1zqTaCFT1J0Rj1mCZ45EArQhAPumRRrlQo8EFI4qJ0Vxm1W4sAhO9k5ZmYZaOXNs+yDSmZTDTIpWhSI3kCI/gSNunjbQRNqGfXAdWAqylgKY0iZJTjRABGWigg250Y3WztfcIxjmujWaCsaKZYF0jmLRGWpqnWTqCCEOYwhjGIMMykWEZiBltJEbYCB+BEdqnjcBIGywOGpyr2NqFWC1AI32dIlxzXBQBsIFp7EbWxLZGrNBViTm3de7DnNZIT7M0CyLtmIACGcZAnCIQRUDrMnxMQLMRThIglBsBIxrlNBFFQJNAA1nPWrOPhzMom9OyQKFnEfCkzxZIxOMf+YnjRfbv32OWAzkwCQyMsHoe7Ihqk8R+7UJBjRrHUIg50c9GkKdItMPMVASKQ18J1Jy8zi0FOo8mys6zIxvNmZ5m+aTv+vg5RgK+7TEC+l1/cw9iIIYiFMNHaIwX5W0AsAALAPz+fzzu1BjQqKGE1Rya6CmjWsFbeYkuNrEpE9lrOUEePUnkNtdSWQSsMZ3m+eSr//Nc9Fu44nvvf9ftn0QMRGAMRVzH207JPPch73r9Rx5l1YXiqAvFNOaOxkC1gFdXT1M605WubGIDU5nIXJdEztl9Lpi1PEo99wNOa3z6Nf91AfSTw1Mf+OFb/rVa4CV483llnv8td77uvVdcxCA2qiW8WiBr8nTRlU3ZkSkmMpFUoa9F+bC+13KcZ0fuxw9eBPoKD3/2N+TZ/RdCX+GFj74rzw6eHbnf59l9nh15dp/7Pfcjz46c+SP3e54duR95drByzo7cjym2P5Jc46pzcM3peXag5UWir3BDe8u9yrz4ez72m7c/RMGTC5nNLr8ZBmAi0zqt+g+rC2VTprKX/bWZJqtdQiWZYoo99/vn/PjnLonA7T/2sqf+4avvVSz2+1NdSOuA3abRVNJagrSezvSeTdk4CaTiJPQoA1IHJj3345LQX3zI/VitCRSHuR3jNhFloq1jgOmdrphjQNm0VXxoAz1NtNVKZI/9/ktGYK+xmhIJxmpKHGYhJzLRaLWfZDqzcRq+DcFj0Acasz+KqV4t0L40BMa5xty6DlQL1J545qX12XOagsp+EnQlsKGfiZ7jS0Lg59/QYgzE6S502NTLU8njLmRKKv2wazqAFhIIKA0JBZBQmhL0iPGaV3/2ksD91Q1/8dIPPOwCAje+ERkjY8RYY4wYI8fImOkYI2PkyU95TuZMxIjYz08lsyrpEQONl0QgYzDiJXc8+Dce+4lzv/7czRnb5iaFoKI6LHTcAvSEU5xTq3NWv5RNiapypCmAtGlg1k4l/LBf8cwRMX7tFy9kRByHt770TZGROTLjp9/xVae+Xv8HI+fXETkyRmREjsjIiIiZHxEzZ8qMiMNfEbHlREZODSM3VSWWI3L0yAAI5E2/8C/X3/iNF0Z/6/VvCg7P8AzPYYzr3v5ltp8GKUZmztUf605fpAilyiVxvkGs2mbOCafqPpGGJDIRXk9LRzqiIRPpyIYgejBgFBLgTa/6h+tf+a1fCP2f3PBnoWgMaYhBhddeZ933GKfzbdqNoigUAYpFQCadx5xOUzqu+dlPnSr0j97w7UkLWtKCSFkSQcvpA0HPWiGrlpA3ver9zeIlN37nsZabX/HmlpEKMaRwZS04VJjCFaaAcn2yNr8iV/eTDu4vbauYKCWm9BNf8fnz1tqP/uQHALz+jx+TspSFbCZW47QHsrqQwGo9KX/9Ve/cfKONkUohhHTkRI90ha2TXo2xOctNhbVtKicbCAkm1H6qPD5OONESeNKN92KMPf9H3vNbt1yZsJQFLCvKAuaJDGRg2/NmWqbNvpxrfonNT8aZaRk2/6qvU0PpLCVWG2oeMmd+BhjIJ73ywuBnuO7Z766yNj2V9nCGZTpn1pqocRpVfHXwCZf1dctMy3Sur8ypcJU8inlCCdPymlfuLgo+AOD6Z9yRlmFMP9Sdh1eRLFMknJWzxS3nxCc7kXlCxuYzT6oKZ3ge5zz5xq+4ePQVXv6Uv821iFLS04k23UfTYWGbG5oyNhOMAltlNrrolJNsdK5es0aQNo2D6XlV4+blLi/iHBxGnuugv7gQZWy7oimbvAzXKCu8M/pqjvfVpm0s0Whcc5RNsf3YlX2qi3MEjmMcqX3aDacXwYsMv/yEdx4pZ48uuOAwBxyw9byhDhbK80vBIINMDRLW4wSpnGym8jzVZDkd+dvhRL3QIBMJEaRdZv1XI/S1Ijp6dlhDcYCtEdjOHFq1ukuOcsQW0zqjsEOcvmYcnd4IWJmDDvm6yp3nhOcSQi7IjlyQC3ouRcDgMAPMNgISmmzO6W6TgFsBEkw2xQ2ww5+H2i1JHBPw6ai6rwSWjcDOzA3NYGZeGCYPk1n5jmlwk5vcEICZfHq3C7fNBFYitipYW8DBgBxsc1d5nwjsLJcZO3eeLjQzs3SDuYEGy63eyu+aNhdcd7n5JOA2gxto5nVYUdxhDqMcciir/1gNgC8mgdwZmpsjfZ6V5OzkVfJED5Yp6PIZ3Vxmbm7mZoWeNnHXoCfc5ZJLCbUTrsWb//Tun3jWAy4D/fM+fjV3zsVz8dx5565ZQzrMZa40GfzQY9SsPMVJpKOtsTh4k9PczZqZzFrNBGaS1biiXGqba9FIbJv6y6t+7iZ0Ls7Fe55xazC39Nlv0xqg9eBw9XNnQxJBNcqbnO6C07zNwx5vVkcqVu1X6A1NH/nmF1bZ3/Sh35mOXHnKf/dtZ1/w/WcuCf1z//vqPNO4NC6Nu8aldZ5pbGZu5uBhVlFiPTyVLDl9qo1v+/LXnlL6zLuuNZc5YLJZ8Zit2PSPD37eJvmxR7zooR/5vc25S/hv/zVf/H0X2xTP+5/v5pkDdC4tl2ZPefuvdmdr2Sy7Z7NsWG8b1D0DjsZoOd6Rv3QB7c/84FPn+cBI7Ms1zX+633POlfy6j90sWk7XYku0n7nq3p1rz//MVYcLB7ue87ZBc+06z3Tuus507mZCZxp3bU13nukXRg/g1kfePvXsDr+fV7JKLLU803Wm3fTer7yw8hf871WFbf44041neueZbk5vRpuTI7fJfD2UetenXnavNQTgzx/x1md8+Olygztqu3K+muWZPg8h5UIjGq39yoe+Or2/4opPnhK+7tOPib7oTOfStXQtnUvXbia4NLvm717bGruzeTbLbtFQvWjuyN777z91Mei3cO1d1x4O+UL/dvZZx1+/9u5b5paSTnjKaS3R0ntao/c4uq2SbYnlcFvl5IWVXhdWXLtFy8Jd127RbuFu0VG8VPQAbrvitoOGZfn6+916QL+/dc3vqs52kOyH0pdlRbWckJnp45yla1nUasWh5vrv2/WLywtalnm9wyjXQ/wt07W4W6YLRaa1CwlN1mQN1tE6vKt1tUW9oy/qXcuCvmiZJFWY147UtSxorNsHMJfFRuCD7/+hyyPwlofd8rR//mFMH0opg+bifkygzOAGa7Am6/Ku1tE62qLe1ZeNQ4FGnwSwdCxdS+9YFjnhDZ7yms/jyKq+3NCX2hms14GmVQdfT+XlUBnx1QJd3uTFYVHvaNUCCybiBSsH9K6lq3f03tF2aJQn3GEVVxvyPgT1Zd442m5YGWB1X8hBg1xyoGFtAXifsW3oC+6CtqB1tWWin/kNvVJOuFcjwOJgyd2X0HZ1X2q7ujXDZmzLoQb4+Qn0pTpSQZ80ep+v89nReocvaLSJ3u2L1IWsLSLRBKr6+cwva8kcnCbHbATvZs1m9S/wjrbYTC/wDl/Mj/JXqh2+M+NEX71oNcfuUwv4zpwyWvVzSYSZyQ2oHZJDbmhAM2u2toB5N+vmHbbAFluhbwlYJUqyuZWc7cx2sJ3N9GK2PPIJ77488E+/++WbWtgOtsB2m9qjInaw5QjA9nVZkZxO4ITMAtt1w2LG2k/NnQBi2xReHgHDMt2j6z6/cmWrkWJu8vXZDA3WDc3QDR22GLpZN1sMFfshYYuhA71k3LQcItYnZs6jr77zUtFf+/lXfyFtfvx68nn8yY8hnfplU7UJH//gXEx9K6zyr7zqfReP/hn71xw08KDngImLsV77VrRvn6ZYP0AqyfqF/YCQq2YvjezOXhJbent9/JUXxeEH+Lq5z+Pi7Dafm6q+FrRsmo1LAVhzTr1uGFb0R8pLrHt2B01Wm1ybU2ntkOHzqhqe8B13vuN9j7oA+mfijZYdNKRZUulWl3uS81w3UZdGp59GLrmjrStxk3dDN3VHFxZZpy1uXd7p3XNh686u7PTFW1d2ee+W3UGXueiE1xArV5007wtSnnriw+9sMd7+0StPQz9zi42w0S22k0TWSZCSFr4eq8PTmOacDpuyI8YHH4S5FszwuceZ0GXdrcsOCY9e9pJ715ruLbor3c093VCTQvkR1x1HXQqQpzz41Ife4TE8Rl33szFsNAtYoAhYGCIVhvB50J1SwBJMWBpZji4X/J67HnhuY97/Xbr7sU3ojiZ0obs1WWvWq6HqVdbkrftoTmue7qgWddNRC8jJRnmyJT3lIQ/6kIcs6gkbsCEELIABDMOgghh2fFJ/3IX+76MPukCHfMAd9wD3fOaqr5Ga0Bp6Wd1uXdYaGmbjtP8HBzevT1cQ/QwAAAAASUVORK5CYII=","mask":"data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAEAAAABACAAAAACPAi4CAAAAlklEQVR4nO2UQQ6AIAwEVz8OvlxPGloKLgYPJDsHAo2d0EYKCAFs7IcJAHB8FaRn5xX7YH655QWpeeAEqXckBP7SNvAuqPJtiGtih0pwekYFnhwFixrmlyDBD4IcBYs3vUAJUQ3lVCJuUBnMVGNKcAY7FakeGIObqlwTc7gFEIz11vvP9+oyaEErY4UfSYIFBEIIISZyATBSIiz6dcUGAAAAAElFTkSuQmCC","num_inference_steps":2,"seed":7}', 'Using seed: 7
  0%|          | 0/2 [00:00<?, ?it/s]
100%|██████████| 2/2 [00:00<00:00, 16.59it/s]
', '["fkwa5gn23rhl2pgpbxprp4fucrk26ztw.png"]', NULL, 2, false, false, 1795688404083000, 1795688406149072, 1795688407063310, 0, 0.769224, 'http://127.0.0.1:9/hook', 15, 1, 0, 'htrWywyTdd_8_NXwGYbk_cvjCo4xVtR8', 'http://127.0.0.1:44399', false, NULL, 1795688406149072, 0, NULL, 1795688406451433, 1795688407063310, '00-69c85ed4c7921a26fc8cf0654d59887b-910ebb7967b9e352-01');
INSERT INTO predictions OVERRIDING SYSTEM VALUE VALUES (2, '5re3urpblb65mxgycd7qpdybui', 'alice', 'andreasjansson/stable-diffusion-inpainting', 'e490d072a34a94a11e9711ed5a6ba621c3fab884eda1665d9d3a282d65a21180', '{"prompt":"a cat","image":"data:image/png;base64,AAAA","mask":"data:image/png;base64,AAAA"}', 'Using seed: 11055
', NULL, 'The image can''t be used: this is not a picture in PNG, JPEG or WebP', 3, false, false, 1795688404088000, 1795688407111974, 1795688407159337, 0, 0.019498, NULL, 15, 1, 0, 'sUGGqJHTJawUwz8a_LFYKtNrf6k3dcCC', 'http://127.0.0.1:44399', false, NULL, 1795688407111974, 0, NULL, 0, 0, '00-4d2d7f08ed61115989553dae3c878d0a-c7350abdf1e47c98-01');
INSERT INTO predictions OVERRIDING SYSTEM VALUE VALUES (3, 'qzu2dluw6kkkksejhktwrktnd4', 'alice', 'andreasjansson/stable-diffusion-inpainting', 'e490d072a34a94a11e9711ed5a6ba621c3fab884eda1665d9d3a282d65a21180', '{"prompt":"a cat","image":"https://example.org/i.png","mask":"https://example.org/m.png","seed":0}', '', NULL, NULL, 0, false, false, 1795688409411000, 0, 0, 0, 0, NULL, 15, 0, 0, '10s1MQzlWOuy-HlFLfciK3_yts0g3ZKl', 'http://127.0.0.1:43201', false, NULL, 0, 0, NULL, 0, 0, '00-f16ad911543b0e63b408b539e914913d-a51d3c6047c14e30-01');
INSERT INTO predictions OVERRIDING SYSTEM VALUE VALUES (4, 'w5jap4zqjwslvwqxlfn5dq6tvi', 'alice', 'andreasjansson/stable-diffusion-inpainting', 'e490d072a34a94a11e9711ed5a6ba621c3fab884eda1665d9d3a282d65a21180', '{"prompt":"a cat","image":"https://example.org/i.png","mask":"https://example.org/m.png","seed":1}', '', NULL, NULL, 0, false, false, 1795688409464000, 0, 0, 0, 0, NULL, 15, 0, 0, '0HW5Ze7h_kiN-Z-DgATAlQeSdgKzx9L_', 'http://127.0.0.1:43201', false, NULL, 0, 0, NULL, 0, 0, '00-315614cde401b635b45b1d8ec16efa25-83f6aa6bb7c5fc30-01');
INSERT INTO predictions OVERRIDING SYSTEM VALUE VALUES (5, 'zezjfgy6g7pednt6uamdlpmy5u', 'alice', 'andreasjansson/stable-diffusion-inpainting', 'e490d072a34a94a11e9711ed5a6ba621c3fab884eda1665d9d3a282d65a21180', '{"prompt":"a cat","image":"https://example.org/i.png","mask":"https://example.org/m.png","seed":2}', '', NULL, NULL, 0, false, false, 1795688409985000, 0, 0, 0, 0, NULL, 15, 0, 0, 'xHZ3tNijN6-c87oPykeYt4wqk0dCR1zP', 'http://127.0.0.1:43201', false, NULL, 0, 0, NULL, 0, 0, '00-01fef1dcde520b45bfbaa58e2f4c7b3e-992c66daa7b8f6bd-01');
INSERT INTO predictions OVERRIDING SYSTEM VALUE VALUES (6, 'b2tihgelhdulzhu3goiig4gjg4', 'alice', 'andreasjansson/stable-diffusion-inpainting', 'e490d072a34a94a11e9711ed5a6ba621c3fab884eda1665d9d3a282d65a21180', '{"prompt":"a cat","image":"https://example.org/i.png","mask":"https://example.org/m.png"}', '', NULL, NULL, 0, false, false, 1795688410258000, 0, 0, 1795692010258000, 0, NULL, 15, 0, 0, 'te2pHzkPY_ZmtZjBX2oIIKC5jNYtXcZi', 'http://127.0.0.1:43201', false, NULL, 0, 0, NULL, 0, 0, '00-c90dc6c064bc103690b169d582681ed7-b591950209faf99f-01');
INSERT INTO predictions OVERRIDING SYSTEM VALUE VALUES (7, 'gzscxihu2iy5h6vkp77ramabxy', 'alice', 'andreasjansson/stable-diffusion-inpainting', 'e490d072a34a94a11e9711ed5a6ba621c3fab884eda1665d9d3a282d65a21180', '{"prompt":"a cat","image":"https://example.org/i.png","mask":"https://example.org/m.png"}', '', NULL, NULL, 4, false, false, 1795688410663000, 0, 1795688410706811, 0, 0, NULL, 15, 0, 0, 'LQAKz78wbJ8W1oOTuzglDjZOwcu6pQ9Z', 'http://127.0.0.1:43201', false, NULL, 0, 0, NULL, 0, 0, '00-eb69858a29c3d166b05327421597e2c2-6390330771f520bf-01');
INSERT INTO settings VALUES ('webhook_secret', 'whsec_BsyhYZVh09kVB06jZor3MEqPoJ30fGAg');
INSERT INTO store_versions VALUES (1, '2026-11-26 10:20:02.92335+00');
INSERT INTO store_versions VALUES (2, '2026-11-26 10:20:02.92335+00');
INSERT INTO tokens OVERRIDING SYSTEM VALUE VALUES (1, 'alice', '53d9e99baec0f86b03551b1d0a0cbc9d25689d4595b256112ecf00876d2402f3', 1795688403216004, 0, 0);
INSERT INTO tokens OVERRIDING SYSTEM VALUE VALUES (2, 'bob', '0b0bb98289a5ff918ecefe45c1f040e38efc730ad1f02e6cbeeb96371a370b21', 1795688403414971, 1795688403570863, 0);
INSERT INTO turns VALUES ('alice', 2);
INSERT INTO webhooks OVERRIDING SYSTEM VALUE VALUES (4, 'msg_lhsl42ylqv6uhfldaiefmnfba4', 'kca6vzkzs7fpf7qbsumibqcfy4', 8, 3, 1795688407063310, 1795688412715507);
SELECT pg_catalog.setval('predictions_number_seq', 7, true);
SELECT pg_catalog.setval('tokens_number_seq', 2, true);
SELECT pg_catalog.setval('webhooks_number_seq', 4, true);
ALTER TABLE ONLY blob_garbage
    ADD CONSTRAINT blob_garbage_pkey PRIMARY KEY (blob);
ALTER TABLE ONLY blob_uses
    ADD CONSTRAINT blob_uses_pkey PRIMARY KEY (blob, holder);
ALTER TABLE ONLY event_counter
    ADD CONSTRAINT event_counter_pkey PRIMARY KEY (one);
ALTER TABLE ONLY events
    ADD CONSTRAINT events_pkey PRIMARY KEY (sequence);
ALTER TABLE ONLY files
    ADD CONSTRAINT files_pkey PRIMARY KEY (id);
ALTER TABLE ONLY predictions
    ADD CONSTRAINT predictions_id_key UNIQUE (id);
ALTER TABLE ONLY predictions
    ADD CONSTRAINT predictions_pkey PRIMARY KEY (number);
ALTER TABLE ONLY predictions
    ADD CONSTRAINT predictions_stream_token_key UNIQUE (stream_token);
ALTER TABLE ONLY settings
    ADD CONSTRAINT settings_pkey PRIMARY KEY (name);
ALTER TABLE ONLY store_versions
    ADD CONSTRAINT store_versions_pkey PRIMARY KEY (version);
ALTER TABLE ONLY tokens
    ADD CONSTRAINT tokens_hash_key UNIQUE (hash);
ALTER TABLE ONLY tokens
    ADD CONSTRAINT tokens_pkey PRIMARY KEY (number);
ALTER TABLE ONLY turns
    ADD CONSTRAINT turns_pkey PRIMARY KEY (owner);
ALTER TABLE ONLY webhooks
    ADD CONSTRAINT webhooks_id_key UNIQUE (id);
ALTER TABLE ONLY webhooks
    ADD CONSTRAINT webhooks_pkey PRIMARY KEY (number);
ALTER TABLE ONLY workers
    ADD CONSTRAINT workers_pkey PRIMARY KEY (name);
CREATE INDEX blob_garbage_handed_out ON blob_garbage USING btree (handed_out);
CREATE INDEX blob_uses_holder ON blob_uses USING btree (holder);
CREATE INDEX events_prediction ON events USING btree (prediction, sequence);
CREATE INDEX files_created ON files USING btree (created, id);
CREATE INDEX files_expires ON files USING btree (expires) WHERE (expires > 0);
CREATE INDEX files_owner ON files USING btree (owner, created, id);
CREATE INDEX predictions_completed ON predictions USING btree (completed) WHERE ((status >= 2) AND (NOT data_removed));
CREATE INDEX predictions_created ON predictions USING btree (created, id);
CREATE INDEX predictions_deadline ON predictions USING btree (deadline) WHERE ((status < 2) AND (deadline > 0));
CREATE INDEX predictions_lines ON predictions USING btree (owner, model, version, number) WHERE (status = 0);
CREATE INDEX predictions_owner ON predictions USING btree (owner, created, id);
CREATE INDEX predictions_preview ON predictions USING btree (preview) WHERE ((status = 1) AND (preview IS NOT NULL));
CREATE INDEX predictions_processing ON predictions USING btree (lease_until) WHERE (status = 1);
CREATE INDEX predictions_running ON predictions USING btree (owner) WHERE (status = 1);
CREATE INDEX predictions_starting ON predictions USING btree (number) WHERE (status = 0);
CREATE INDEX predictions_web ON predictions USING btree (created, id) WHERE from_web;
CREATE UNIQUE INDEX tokens_live ON tokens USING btree (name) WHERE (revoked = 0);
CREATE INDEX turns_served ON turns USING btree (served);
CREATE INDEX webhooks_due ON webhooks USING btree (due, number);
CREATE INDEX webhooks_prediction ON webhooks USING btree (prediction, event);

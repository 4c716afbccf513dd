#ifndef TESTS_AUTH_EDGE_TOKENS_H
#define TESTS_AUTH_EDGE_TOKENS_H
/*
 * Keys and tokens for the tests, made once with Python's cryptography; the first
 * pair is RFC 7515's, Appendix A.3. The claims of the others are CLAIMS.
 */
#define CLAIMS                                                                                     \
    "{\"iss\":\"https://p.example/auth/v1\",\"aud\":\"authenticated\",\"role\":\"authe"            \
    "nticated\",\"sub\":\"5f0c6f9e-8a3e-4d0b-9c52-4f5b1f0e7a11\",\"exp\":200000000"                \
    "0,\"iat\":1790000000}"

#define RFC_X "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"

#define RFC_Y "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"

#define RFC_TOKEN                                                                                  \
    "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGF"         \
    "tcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw"         \
    "5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"

#define EC_X "N5SMS9_tJFiHSe8vikNsgRYEm-wpB6q-QnGTN0YCI9Q"

#define EC_Y "E9kOOEn_01AZ0Cks9Ar9IawP9b-_fTscGyAthU8wdyM"

#define RSA_N                                                                                      \
    "z1mxymKsHW8ooJhbFDH7FFb7asDqiWBTn84BaW-byKQs6YmpIQNB-DxofbDqsiXdIDBKBT1Eqzu2jsUuNRnW"         \
    "P5QZ5PTyDOQeiJ0TYWRsoNz3bzVBAqasjDeQbs7pqflkQ1KFKLtlZ0UFss6M-pTtE-6YHghJClnqAuMbVyUl"         \
    "wImvvYoHVt3TqF14GIUj2baD2qhPjIiU_W7nf9xP_dWS6e3xft7P6HYeJmzGhi9ouEROQCk35Ziy2-B3Ym3I"         \
    "Ajtc-OlpoF3Yo95xK7gPpJbWzm31VRDaMAlZJaKvkOilglIu4OLm5xi8TK-cibHLvzaSr7FeWmm3fWBd-VIw"         \
    "TIftCw"

#define TOKEN_ES256                                                                                \
    "eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6ImVzMSJ9.eyJpc3MiOiJodHRwczovL3AuZXhhbXB"         \
    "sZS9hdXRoL3YxIiwiYXVkIjoiYXV0aGVudGljYXRlZCIsInJvbGUiOiJhdXRoZW50aWNhdGVkIiwic3ViIjo"         \
    "iNWYwYzZmOWUtOGEzZS00ZDBiLTljNTItNGY1YjFmMGU3YTExIiwiZXhwIjoyMDAwMDAwMDAwLCJpYXQiOjE"         \
    "3OTAwMDAwMDB9.kjOmpBTvINIHakb7hI2Ukwe9ky3IbgGoxShiE5caihsHHWhA-JLMF3MT9iV--xGOLUsjtL"         \
    "YLXrXpFz0TtIxRHQ"

#define TOKEN_RS256                                                                                \
    "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6InJzMSJ9.eyJpc3MiOiJodHRwczovL3AuZXhhbXB"         \
    "sZS9hdXRoL3YxIiwiYXVkIjoiYXV0aGVudGljYXRlZCIsInJvbGUiOiJhdXRoZW50aWNhdGVkIiwic3ViIjo"         \
    "iNWYwYzZmOWUtOGEzZS00ZDBiLTljNTItNGY1YjFmMGU3YTExIiwiZXhwIjoyMDAwMDAwMDAwLCJpYXQiOjE"         \
    "3OTAwMDAwMDB9.MzwMtFxCD9txLsz-OtYeWdyoUxBfen6dVyX1A35wicCYaaVUYONaGaCF_M2WelnQQ28-k7"         \
    "diHfCauZnncefwW0CbqgORid164X0x784tObXWAxPwdtVZ2JYGLGJsl2eZZ-8ImF5WJGVcp2HfYTdI6Vv4So"         \
    "q8-E3RBXDJqcPaC4zV5GxAKhviKqunlNaSvHZlkAZAFMW0VVY60-re2nQpq5zBUnGiuopeWcQDkCFgVXZKzh"         \
    "IIu03LHbae6xoet7nzHfOLiETROKDa3Y8DlUjj4LUKuUC0ZJufmuz-VMYe4ObzTTu193Vsv-cfyw1FQWlWdB"         \
    "elU1v3MzghomJKBD8JZQ"

#define TOKEN_ES256_OTHER_KEY                                                                      \
    "eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6ImVzMSJ9.eyJpc3MiOiJodHRwczovL3AuZXhhbXB"         \
    "sZS9hdXRoL3YxIiwiYXVkIjoiYXV0aGVudGljYXRlZCIsInJvbGUiOiJhdXRoZW50aWNhdGVkIiwic3ViIjo"         \
    "iNWYwYzZmOWUtOGEzZS00ZDBiLTljNTItNGY1YjFmMGU3YTExIiwiZXhwIjoyMDAwMDAwMDAwLCJpYXQiOjE"         \
    "3OTAwMDAwMDB9.P2uEqHH3ekE3AS8-CvM0A2vUDaZ4IbAwVipbwBjhmVjPOCDTVYm0NhTPlem4s2GUol6_aR"         \
    "8aCULi3p9joQjvRg"

#define TOKEN_RS256_UNDER_EC_KID                                                                   \
    "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6ImVzMSJ9.eyJpc3MiOiJodHRwczovL3AuZXhhbXB"         \
    "sZS9hdXRoL3YxIiwiYXVkIjoiYXV0aGVudGljYXRlZCIsInJvbGUiOiJhdXRoZW50aWNhdGVkIiwic3ViIjo"         \
    "iNWYwYzZmOWUtOGEzZS00ZDBiLTljNTItNGY1YjFmMGU3YTExIiwiZXhwIjoyMDAwMDAwMDAwLCJpYXQiOjE"         \
    "3OTAwMDAwMDB9.QxU7mKxEIhuXldacrWs_XD8_N-oBmH8wmhshzHvg1pqYvsYS7Npp3LAjRNdecx3q98el5V"         \
    "hj01HcJwyPv_lXkl2GcfmaYo3b6X6sUkeg5rdOFZWPsvH4BVV9f9c8RSwHVtbAXZP0sVXwDRQOrsTM6R1WWJ"         \
    "iLt9lHY9apQkjCUVtSvLWq7noasaUNPBydQivycpV94w15q8n7UFkqkERIMNN7Hw26MoC_DDzdQDlSGMkQVJ"         \
    "RUhpvFiZDSyfB-sDXgkyFpnBHVXYgtjpnHToc8Y8iMcS_H4On0AWCwYxh7434nUyhA2qAOLwOi8XVGQ_DCrM"         \
    "djUaREDQSLzETfJ3f_fA"

#define TOKEN_ES256_OTHER_KID                                                                      \
    "eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6ImVzMiJ9.eyJpc3MiOiJodHRwczovL3AuZXhhbXB"         \
    "sZS9hdXRoL3YxIiwiYXVkIjoiYXV0aGVudGljYXRlZCIsInJvbGUiOiJhdXRoZW50aWNhdGVkIiwic3ViIjo"         \
    "iNWYwYzZmOWUtOGEzZS00ZDBiLTljNTItNGY1YjFmMGU3YTExIiwiZXhwIjoyMDAwMDAwMDAwLCJpYXQiOjE"         \
    "3OTAwMDAwMDB9.KL02z8t0vLayt-qX2fuOBJCFPlLe3hD7kFS_gLeXEibm3o_sgR2DQF0YXtHuaI5OZVQhHy"         \
    "jQ4lM3LJ1yMthZeQ"

#define TOKEN_ES256_NO_KID                                                                         \
    "eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJodHRwczovL3AuZXhhbXBsZS9hdXRoL3YxIiw"         \
    "iYXVkIjoiYXV0aGVudGljYXRlZCIsInJvbGUiOiJhdXRoZW50aWNhdGVkIiwic3ViIjoiNWYwYzZmOWUtOGE"         \
    "zZS00ZDBiLTljNTItNGY1YjFmMGU3YTExIiwiZXhwIjoyMDAwMDAwMDAwLCJpYXQiOjE3OTAwMDAwMDB9.yR"         \
    "SSkVbqbj-YlgQG0F_W2xHz2rr2nFa7a4Xtr4Iz0SrTfu-7lF5hSeNK6J2dERHGJLs5ntT0I-pO0wGF8OvwUA"

#define TOKEN_CONFUSED                                                                             \
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6InJzMSJ9.eyJpc3MiOiJodHRwczovL3AuZXhhbXB"         \
    "sZS9hdXRoL3YxIiwiYXVkIjoiYXV0aGVudGljYXRlZCIsInJvbGUiOiJhdXRoZW50aWNhdGVkIiwic3ViIjo"         \
    "iNWYwYzZmOWUtOGEzZS00ZDBiLTljNTItNGY1YjFmMGU3YTExIiwiZXhwIjoyMDAwMDAwMDAwLCJpYXQiOjE"         \
    "3OTAwMDAwMDB9.g84RpJTQJs25UG2pUtM3I4GNcncE49TdTr9kx1PYjro"

#define TOKEN_HS256                                                                                \
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJodHRwczovL3AuZXhhbXBsZS9hdXRoL3YxIiw"         \
    "iYXVkIjoiYXV0aGVudGljYXRlZCIsInJvbGUiOiJhdXRoZW50aWNhdGVkIiwic3ViIjoiNWYwYzZmOWUtOGE"         \
    "zZS00ZDBiLTljNTItNGY1YjFmMGU3YTExIiwiZXhwIjoyMDAwMDAwMDAwLCJpYXQiOjE3OTAwMDAwMDB9.2-"         \
    "suoWUqGNmVBxLlVi5CyaJUZuDGvbD3YoJ6uDzo3dI"

#define TOKEN_NONE                                                                                 \
    "eyJhbGciOiJub25lIiwia2lkIjoiZXMxIn0.eyJpc3MiOiJodHRwczovL3AuZXhhbXBsZS9hdXRoL3YxIiwi"         \
    "YXVkIjoiYXV0aGVudGljYXRlZCIsInJvbGUiOiJhdXRoZW50aWNhdGVkIiwic3ViIjoiNWYwYzZmOWUtOGEz"         \
    "ZS00ZDBiLTljNTItNGY1YjFmMGU3YTExIiwiZXhwIjoyMDAwMDAwMDAwLCJpYXQiOjE3OTAwMDAwMDB9."

#endif

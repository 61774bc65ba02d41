// SPDX-License-Identifier: Apache-2.0
// Counts the votes in PostgreSQL.
const http = require('http');
const { Pool } = require('pg');

const pool = new Pool({ connectionString: 'postgres://postgres:postgres@db/postgres' });
pool.on('error', (error) => console.error('pool:', error.message));

http.createServer(async (request, response) => {
        try {
                const result = await pool.query(
                        'SELECT vote, COUNT(id)::int AS count FROM votes GROUP BY vote ORDER BY vote');
                response.end(JSON.stringify(result.rows) + '\n');
        } catch (error) {
                response.statusCode = 503;
                response.end(error.message + '\n');
        }
}).listen(process.env.PORT, () => console.log('App running on port ' + process.env.PORT));

// SPDX-License-Identifier: Apache-2.0
// Bookings in MariaDB: POST / adds the amount in the body, GET / tells the balance, GET /cron notes
// that the day is over.
const http = require('http');
const mysql = require('mysql');
const fs = require('fs');

const pool = mysql.createPool({
        host: process.env.DB_HOST, user: 'root', password: process.env.DB_PASSWORD || '',
        database: process.env.MYSQL_DATABASE,
});
const query = (...args) => new Promise((resolve, reject) =>
        pool.query(...args, (error, rows) => error ? reject(error) : resolve(rows)));

async function answer(request, body) {
        await query('CREATE TABLE IF NOT EXISTS bookings (id INT AUTO_INCREMENT PRIMARY KEY, ' +
                'amount INT NOT NULL, note VARCHAR(100) CHARACTER SET utf8mb4)');
        if (request.method === 'POST')
                await query('INSERT INTO bookings (amount, note) VALUES (?, ?)', [body, 'ünï ✓']);
        if (request.url === '/cron')
                fs.appendFileSync('/var/www/html/storage/upload/cron', '.');
        const rows = await query('SELECT COALESCE(SUM(amount), 0) AS sum, MAX(note) AS note FROM bookings');
        return JSON.stringify({ sum: Number(rows[0].sum), note: rows[0].note,
                key: process.env.APP_KEY.length }) + '\n';
}

http.createServer((request, response) => {
        let body = '';
        request.on('data', (data) => { body += data; });
        request.on('end', () => answer(request, body).then(
                (text) => response.end(text),
                (error) => { response.statusCode = 503; response.end(error.message + '\n'); }));
}).listen(8080);
process.on('SIGTERM', () => process.exit(0));

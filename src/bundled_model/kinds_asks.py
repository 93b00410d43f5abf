"""More requests for the commonest kinds of tools, by the kind's first name; data only."""

ASKS = """
get_weather: I'm flying to {0} tonight. What's the weather there? | Do people in {0} need a raincoat right now? | Could you see if the sun is shining in {0}? | We want to have a barbecue in {0}. Is the weather good enough? | How does the sky look in {0}? | Is it windy in {0}? | Is there a storm in {0}? | Can I go out without a jacket in {0}? | My daughter lives in {0}. What weather does she have? | Tell me if it's raining in {0}. | Is {0} foggy this morning? | What should I wear in {0}? | Can we play tennis outside in {0} now? | I'm travelling to {0}, will I get wet? | Weather for {0}? | Have they got snow in {0}? | Is it nice out in {0}? | What kind of weather are they having in {0}? | Check whether it rains in {0}. | Are there clouds over {0}? | Is it hot in {0} at the moment?
get_forecast: What weather can I expect in {0}? | Is rain coming to {0}? | We go camping near {0} for {1} days. How will the weather be? | Should I plan a picnic in {0} for the weekend? | Will it get warmer in {0}? | Look ahead {1} days for {0}. | Will the sun shine in {0} tomorrow? | How is the weather in {0} going to develop?
get_temperature: Give me the degrees in {0}. | Is it above zero in {0}? | What does the thermometer say in {0}? | Does {0} have more than 30 degrees?
add: I have {0} apples and get {1} more. How many is that? | {0} and {1} make what? | If I put {0} and {1} together, what do I have? | What does {0} plus {1} equal? | Could you sum up {0} and {1}? | What's the total of {0} and {1}? | I spent {0} yesterday and {1} today. What is that in all? | Tell me what {0} + {1} is. | {0} people came, then {1} more. How many are there? | Increase {0} by {1}.
subtract: I had {0} and gave away {1}. How many are left? | What remains of {0} after taking {1}? | How much bigger is {0} than {1}? | Reduce {0} by {1}. | I have {0} euros and spend {1}. What do I have left? | Tell me what {0} - {1} is. | Deduct {1} from {0}.
multiply: One costs {0}. How much do {1} cost? | There are {0} rows of {1} seats. How many seats is that? | What does {0} times {1} equal? | I need {0} multiplied by {1}. | {0} times {1}? | {0} crates hold {1} bottles each. How many bottles? | If I work {0} hours a day for {1} days, how many hours is that? | Tell me what {0} x {1} is.
divide: {0} sweets for {1} children: how many does each get? | Share {0} between {1} people. | What does {0} divided by {1} equal? | How much is {0} split by {1}? | What do I get when I split {0} among {1}?
power: What does {0} to the {1} give? | Multiply {0} by itself {1} times.
sqrt: I need the root of {0}. | A square has an area of {0}. How long is a side? | Take the root of {0}.
square: Put {0} into {N}. | Try {N} with {0}. | Give {0} to {N} and tell me what comes out. | I need {N}({0}). | What will {N} return for {0}? | Which number does {N} make of {0}?
calculator: I need the value of {0}. | Do the maths: {0} | What's the answer to {0}? | Can you work out {0} for me? | My homework says {0}. What is it? | Please do this sum: {0} | How much does {0} make? | Run the numbers: {0} | Help me with {0}
percentage: The price is {1} and I get {0} percent. How much is that? | What is {0} per cent of {1}? | {0} percent from {1} please.
random_number: I need a number from {0} to {1}. | Draw lots between {0} and {1}. | Surprise me with a number between {0} and {1}.
convert_currency: I want to change {0} {1} to {2}. How much do I get? | What will {0} {1} buy me in {2}? | My hotel costs {0} {1}. How much is that in {2}? | {0} {1} into {2} | Tell me what {0} {1} are worth in {2}. | The bill is {0} {1}. I pay in {2}. How much? | If I have {0} {1}, how many {2} do I get? | Turn {0} {1} into {2}. | I earned {0} {1}. How much is it in {2}? | {0} {1} to {2}
exchange_rate: How many {1} are there for one {0}? | How strong is the {0} against the {1}? | Is the {0} worth more than the {1}?
get_stock_price: Where does {0} stand today? | What do {0} shares go for? | Did {0} go up? | I own some {0}. What are they worth a piece? | Should I sell {0}? What is it at now? | What's {0} at? | How are {0} shares doing? | At what price is {0} sold today? | I'm thinking of buying {0} stock. What does it cost? | {0} stock price? | Look at the stock exchange for {0}.
get_balance: How much do I have on {0}? | Can I afford something with account {0}? | What's on account {0}? | Am I broke? The account is {0}. | Show how much there is in account {0}.
transfer_money: {0} lent me {1} euros. Pay it back. | Pay back {1} to {0}. | Let {0} have {1} dollars. | Please move {1} to {0}'s account. | My rent is {1}, send it to {0}.
calculate_tip: We ate for {0}. How much tip is right? | The waiter was nice and the bill says {0}. | What's a good tip for {0}?
search_products: I'm looking for {0}. | Have you got {0} for sale? | Can I buy {0} here? | What kinds of {0} do you offer? | My son wants {0}, what is there?
get_price: What's the {0} going for? | How many euros is the {0}? | Tell me what I pay for the {0}. | Is the {0} expensive? | I'd like to buy the {0}. How much is it? | What would the {0} cost me? | How much money do I need for {0}? | What's the damage for the {0}?
check_stock: Could I still get a {0}? | Are any {0} left? | Is there a {0} in the warehouse? | How many {0} are there? | A customer wants a {0}. Do we have it? | Can we still sell {0}? | Do we have enough {0}? | How many pieces of {0} are on the shelf?
order_status: Where has {0} got to? | Did {0} go out already? | How far is order {0}? | I am still waiting for {0}. | Is my order {0} on its way? | What's the status on {0}? | Could you check on my order? It's {0}. | Order {0} has not come. Where is it? | Has {0} been sent? | Is {0} shipped yet? | My order number is {0}. Any news? | When can I expect order {0}?
cancel_order: Please don't send order {0}. | Take back order {0}. | I no longer want order {0}. | Call off order {0}. | Can you still stop {0}? | The order {0} should be cancelled. | I ordered by mistake. It's {0}. Cancel it.
refund: {0} never arrived, I want my money. | Pay back order {0}. | The customer with order {0} is angry, return the money. | Reimburse order {0}. | I sent {0} back. Where is my money?
add_to_cart: I'd like {1} {0}. | Get me {1} {0}. | Let me have {1} {0}. | {1} of the {0} go in the basket. | Buy {1} {0}. | I need {1} {0}, put them in the cart.
track_package: When will {0} be here? | Could you look where the parcel {0} is? | The postman has not come. My parcel is {0}. | Is my packet {0} still in transit? | Has anything happened with shipment {0}? | What's up with the delivery {0}?
search_flights: How do I fly from {0} to {1}? | I must be in {1} on {2}, coming from {0}. | Are there planes from {0} to {1} on {2}? | We want to go from {0} to {1}, by air. | Look for a plane ticket from {0} to {1}. | Show me connections by plane from {0} to {1}. | Which airline flies from {0} to {1}? | Could you find me something that flies from {0} to {1} on {2}? | I live in {0} and want to fly to {1}. | Flight {0} {1}? | Plane to {1} from {0} on {2}?
book_flight: Get me on flight {0}. | Put {1} on flight {0}. | I want to be on {0}. | Buy a ticket for flight {0}.
flight_status: Will {0} be late? | My mother is on flight {0}. When does it land? | Did {0} take off? | Has {0} left already? | How late is {0}? | Is there any delay on {0}?
find_hotel: I need a bed in {0}. | Is there a nice hotel in {0}? | Where shall we sleep in {0}? | We stay in {0} for {1} nights. Which hotel? | Find somewhere to sleep in {0} for {1} nights. | I'm looking for accommodation in {0}. | Got a room in {0}? | A place to stay in {0} for {1} nights, please.
book_hotel: Get us a room at the {0}. | Reserve {1} nights in the {0}. | We want to sleep at the {0} for {1} nights. | Please make a booking at the {0}.
get_directions: What's the best way from {0} to {1}? | Guide me from {0} to {1}. | How can I walk from {0} to {1}? | Which road do I take from {0} to {1}? | I have to get to {1} from {0}. | Bring me from {0} to {1}. | Take me from {0} to {1} by {2}. | Show how to reach {1} from {0}.
get_distance: How many kilometers is it between {0} and {1}? | Is it far from {0} to {1}? | What is the distance if I go from {0} to {1}? | How far apart are {0} and {1}? | How many miles lie between {0} and {1}?
travel_time: When will I be in {1} if I leave {0} now? | How much time do I need from {0} to {1}? | Is it a long trip from {0} to {1}?
train_schedule: I want to take the train from {0} to {1}. | Which train brings me from {0} to {1}? | At what time do trains leave {0} for {1}? | Trains {0} to {1}? | Is there still a train to {1} from {0} tonight? | I have to get to {1} by train, I'm in {0}.
call_taxi: Get me a cab to {0}. | Please have a car come to {0}. | I'm at {0} and need a lift to {1}. | Pick me up at {0}. | A taxi for {0}, please.
find_attractions: I have never been to {0}. What should I look at? | What is {0} famous for? | Where do tourists go in {0}? | We spend a weekend in {0}. Any ideas? | What do you recommend to see in {0}?
get_time: Tell me how late it is in {0}. | Are people in {0} still asleep? | I want to ring somebody in {0}. What's the time there? | What hour is it in {0}? | What does the clock say in {0}? | Is it morning or evening in {0}? | Time in {0}? | Can you say what time they have in {0}? | Is the office in {0} still open? What time is it there?
now: Do you have the time? | Could you tell me the time please? | What does the clock say? | Which hour is it? | How late is it now?
today: Which day is it today? | Could you tell me today's date? | What's the date? | Is it Monday today? | I forgot which day it is.
day_of_week: Was {0} a weekday? | I was born on {0}. Which weekday was that? | Tell me which day {0} is. | Does {0} fall on a weekend?
days_between: How many days pass between {0} and {1}? | I'm away from {0} to {1}. How many days is that? | How much time lies between {0} and {1}?
countdown: Is it still long until {0}? | My holiday starts on {0}. How many days to go? | How far away is {0}? | When we count from today, how many days is it to {0}?
set_alarm: I have a train to catch. Get me up at {0}. | I'd like to sleep until {0}. | Ring at {0}. | My day starts at {0}, wake me. | Don't let me sleep past {0}. | Alarm at {0} please. | Make sure I'm awake at {0}.
start_timer: Ring in {0} minutes. | My {1} is in the oven for {0} minutes. | Let me know in {0} minutes. | {0} minutes from now, please. | I boil {1} for {0} minutes. | Give me {0} minutes on the clock.
set_reminder: At {1}, tell me to {0}. | I'd hate to forget to {0}. | Make me remember to {0}. | Nudge me at {1} to {0}. | I should {0} at {1}. Ping me then. | Will you remind me to {0}? | I always forget to {0}. | Please remember for me: {0}. | Could you remind me at {1} to {0}?
turn_on_light: Can I have some light in the {0}? | Let there be light in the {0}. | I'm going into the {0}, switch the lamp on. | The {0} is too dark. | Make the {0} bright.
turn_off_light: I'm leaving the {0}. Kill the lights. | The {0} is too bright at night. | Someone left the light on in the {0}. | Time to sleep, lights out in the {0}. | Save power in the {0}, lamp off.
control_light: Lamp {1:on/off} in the {0}, please. | I want the light {1:on/off} in the {0}. | Can you put the {0} lights {1:on/off}? | {0} light {1:on/off}
set_thermostat: I'm freezing in the {0}. Make it {1}. | Warm up the {0} to {1} degrees. | Could it be {1} degrees in the {0}? | Cool the {0} down to {1} degrees. | Change the {0} to {1} degrees. | Set {1} degrees for the {0}. | Let the {0} have {1} degrees. | It's too hot in the {0}, {1} degrees please. | Turn the {0} up to {1} degrees.
lock_door: Make sure the {0} is shut tight. | Is the {0} locked? If not, lock it. | Bolt the {0}. | Secure the {0}.
play_music: Let me hear {0}. | Start {0}. | My favourite song is {0}. Play it. | Can we listen to {0}? | Give me some {0} by {1}. | Turn on {0} by {1}. | I feel like hearing {0}. | Let's dance to {0}. | Next song: {0} | Put {0} by {1} on.
set_volume: Turn the sound to {0}. | It's too loud, go to {0}. | Louder please, {0} percent. | Volume {0}
start_vacuum: Somebody spilled flour in the {0}, clean it up. | Send the robot into the {0}. | The {0} needs cleaning.
get_recipe: Teach me to cook {0}. | What goes into {0}? | My kids want {0} for dinner. How is it done? | How long do I cook {0}? | I feel like making {0}. | Can you show me how to bake {0}? | Ingredients for {0}? | I've never made {0}. How does it work? | What are the steps for {0}?
find_restaurant: We want {1} food and are in {0}. | Where in {0} do they serve {1}? | I'm in {0} and starving. | Where's a good dinner to be had in {0}? | Anywhere nice to eat {1} in {0}? | Any good {1} place in {0}?
book_table: Table for {1} at {0}, please. | Get us a table at {0}, there are {1} of us. | We come to {0} at {2}, {1} persons. | Can we have dinner at {0} with {1} people at {2}? | Reserve {1} seats at {0}.
get_calories: Will {0} make me gain weight? | How fattening is {0}? | How much energy is in {0}? | I ate {0}. How many calories was that? | Is there a lot of sugar in {0}? | How nutritious is {0}?
add_to_shopping_list: The {0} is finished, we need more. | I want to buy {1} {0} tomorrow. | Put down {0} for the supermarket. | Remember {0} for when I go shopping. | There's no {0} left. | Next time I shop I need {1} {0}.
book_appointment: I need to see {0}. {1} would be good. | Could {0} see me on {1}? | Get me an appointment at {0} for {1}. | My tooth hurts. {0}, on {1}.
check_symptom: I woke up with {0}. | My son has {0}. Is it serious? | What should I do about {0}? | Is {0} dangerous? | Where does {0} come from?
log_workout: I was out for {1} minutes of {0}. | {1} minutes of {0}, done! | Today's training: {0}, {1} minutes. | Put {1} minutes of {0} in my diary.
get_score: Tell me whether {0} won. | How did the match of {0} go? | Did {0} lose again? | {0} played last night. How did it end? | What's the score for {0}? | Is {0} winning? | Who won, {0} or the others? | How many goals did {0} score?
next_match: Who is the next opponent of {0}? | I want to see {0} live. When do they play? | When can I watch {0} again?
player_stats: Is {0} a good player? | How many points does {0} have? | How well has {0} played? | Give me the numbers for {0}.
search_movies: Is {0} worth watching? | Tell me something about the film {0}. | Who directed {0}? | What do you know about the movie {0}?
find_book: Is there a book called {0}? | I heard about {0}. Who is the author? | My teacher wants us to read {0}. | What happens in the book {0}?
get_news: Is there anything new about {0}? | What has happened around {0}? | Tell me the headlines about {0}. | Give me an update on {0}. | What do journalists write about {0}? | I missed everything about {0} this week. | Latest on {0}? | Is {0} in the news?
joke: Cheer me up. | I'm sad, make me smile. | Can you be funny? | Say something to laugh about.
translate: I'm in a hotel abroad and need "{0}" in {1}. | My friend only speaks {1}. Tell me how to say {0}. | Give me the {1} for "{0}". | I want to write "{0}" in {1}. | Can you put {0} in {1} for me? | What's "{0}" in {1}? | "{0}" - how does that go in {1}? | Make this {1}: {0} | Say "{0}" in {1}. | Express "{0}" in {1}. | {0}, in {1} please. | How would a {1} speaker say {0}?
define: I read the word {0}. What is it? | Explain what {0} means. | I don't understand the word {0}. | What exactly is meant by {0}? | Could you tell me what {0} means? | What's a {0}? | Is {0} a real word? What does it mean? | Meaning of {0}?
synonyms: I keep using the word {0}. Give me another one. | Something similar to {0}? | What's a different word for {0}? | I need other words for {0}.
summarize: Give me the short version: {0} | What's the gist of this: {0} | Too long for me: {0}
sentiment: Is this friendly: "{0}" | How does the writer feel: "{0}" | Does this sound angry: {0}
send_email: Drop {0} a mail saying that {1}. | {0} needs an email: {1} | Could you write {0} a mail? Say that {1}. | Reply to {0} that {1}. | Let {0} know by email that {1}. | Shoot an email over to {0}: {1} | Please inform {0} by mail that {1}. | Send mail to {0} with the text "{1}". | I have to write to {0}. Tell them {1}. | Email to {0}: {1} | Write {0} an email: {1}
read_emails: Have I got mail? | Is there anything new in my mailbox? | Show what came in. | Who has written to me? | Any post?
search_emails: I can't find the mail about {0}. | Where did {1} write about {0}? | There was a message about {0} some weeks ago. | Dig out the mail about {0}.
send_message: Could you tell {0} that {1}? | Send {0} a text: {1} | {0} should hear that {1}. | Let {0} know: {1} | Give {0} the message that {1}. | Write {0} a message saying {1}. | Pass on to {0} that {1}. | I need to tell {0} that {1}. | Message for {0}: {1} | {0} has to know that {1}. | Drop {0} a line that {1}. | Please inform {0} that {1}. | Say to {0}: {1}
post_message: Announce in {0} that {1}. | Put this in {0}: {1} | Everyone in {0} should know that {1}. | Drop a note into {0}: {1}
call_contact: Connect me with {0}. | Could you get hold of {0} by phone? | I must talk to {0}. | Can you ring up {0}? | Put me through to {0}.
create_event: Save the date: {0} on {1}. | On {1} at {2} there is {0}. | Block {1} for {0}. | I'm going to {0} on {1}, put it in. | Note {0} for {1} at {2}. | Add to my calendar: {0}, {1}. | Don't let me miss {0} on {1}. | {0} is at {2} on {1}, add it.
list_events: Is there anything on {0}? | Am I busy on {0}? | Do I have to go anywhere on {0}? | What's happening on {0}? | What does my {0} look like? | How full is my calendar on {0}? | Anything planned for {0}?
schedule_meeting: Find a slot with {0} on {1}. | I want to talk to {0} on {1} at {2}. | Could you get me together with {0} on {1}? | Let's meet {0} on {1} at {2}. | Invite {0} for {1}. | {0} asked for a meeting, {1} at {2} is fine. | Plan a meeting with {0} for {1}.
add_task: Put this on my list: {0} | Next job: {0} | New to-do: {0} | Something else to do: {0} | I need to {0} some day, put it on the list. | To my list: {0}
list_tasks: What's on my list? | Do I still have work? | Is there anything left for me to do? | Show what's open.
save_note: Jot down that {0}. | For my notes: {0} | Keep in mind that {0}. | Please remember that {0}.
get_age: In which age is {0}? | What age is {0}? | How many years old is {0}? | Is {0} a grown-up?
get_birthday: When do we celebrate {0}? | Which day was {0} born? | I want to buy {0} a birthday card. When is it? | When should I send {0} flowers for the birthday?
get_email: I want to write to {0}. What's the mail address? | Can you dig up {0}'s email? | What email does {0} use? | I need {0}'s e-mail. | Which mail address does {0} have?
get_phone: I want to ring {0}. What's the number? | Can you find {0}'s phone number? | Do we have a number for {0}? | I need to phone {0}, which number? | What's {0}'s mobile?
get_address: I want to visit {0}. Where do I go? | Where is {0}'s house? | To which street do I send {0}'s letter? | Where can {0} be found?
get_user: Show the user with number {0}. | Find out who {0} is in our system. | User {0}, please. | Open the account of user {0}.
get_salary: Is {0} paid well? | What does {0} get at the end of the month? | How big is {0}'s pay check?
get_manager: Who is above {0}? | Who does {0} work for? | To whom should {0} complain?
search: I wonder about {0}. | Find me facts about {0}. | Do some research on {0}. | Have a look on the web for {0}. | Can you check online for {0}? | Get me something on {0}. | I want to learn about {0}. | Who knows something about {0}? | Search engine: {0} | I read about {0}. What is it? | What's known about {0}? | Do a web search on {0}.
wikipedia: I have to write about {0}. | What's the story of {0}? | Who or what is {0}? | When did {0} live?
search_docs: How do we handle {0} in our company? | Where do I find the rules on {0}? | Check our documentation on {0}. | Is {0} described anywhere? | What is our policy on {0}?
get_population: Is {0} a big city? | How many citizens are in {0}? | Count the people of {0}. | How populous is {0}?
get_capital: What's the main city of {0}? | From where is {0} governed? | Capital of {0}? | {0} has which capital?
unit_converter: How long is {0} {1} in {2}? | I have {0} {1} and want to know the {2}. | What's {0} {1} expressed in {2}? | {0} {1} are how many {2}? | In {2}, how much is {0} {1}? | Turn {0} {1} into {2}. | {0} {1} to {2}
read_file: I need to see {0}. | What's the text of {0}? | Look into {0}. | Let me read {0}. | Can you open {0} for me? | Display {0}. | Tell me what {0} contains. | Print out what {0} says. | Have a look at {0}. | I want to know what stands in {0}.
write_file: Store "{1}" in {0}. | Make a file {0} that says: {1} | {0} must say {1}. | Put the words {1} into {0}. | Make {0} and write {1} into it.
delete_file: {0} is not needed any longer. | Please make {0} disappear. | I'm done with {0}, away with it. | Wipe {0}. | Clear {0} from the disk. | {0} takes too much space, remove it.
list_files: Show what is in {0}. | What files does {0} have? | What's lying around in {0}? | Look into the folder {0}. | Are there any files in {0}?
move_file: Call {0} {1} from now on. | {0} gets the new name {1}. | Put {0} at {1}. | I want {0} to be named {1}.
run_query: Ask the database: {0} | Fire off {0}. | Please query {0} | Send this SQL: {0}
count_records: How many entries are in {0}? | How long is the {0} table? | How many {0} are in the database? | Tell me how many rows are in {0}.
service_status: Has {0} crashed? | Does {0} respond? | Is there a problem with {0}? | How is {0} doing? | Is {0} online? | I can't reach {0}. Is it running? | Did {0} go down? | Does the {0} server work? | Users complain about {0}. Is it up?
restart_service: {0} is stuck. | Give {0} a fresh start. | Bring {0} back up. | {0} froze, reboot it. | Can you bounce {0}? | {0} needs a restart.
deploy: Ship {0} to {1}. | Put {0} on {1}. | Push {0} out to {1}. | We want {0} live on {1}. | Bring version {2} of {0} to {1}. | Time to release {0} to {1}.
get_logs: I want to see what {0} wrote. | {0} failed. What's in the log? | Read me the {0} logs. | Any errors in {0}? Show the log. | Give me {1} log lines from {0}.
create_ticket: Please report: {0} | Tell support that {0}. | I found a problem: {0} | File a ticket that {0}. | Something is broken: {0} | Log an issue: {0}
ticket_status: Did anybody look at {0}? | Is {0} closed? | How is ticket {0} coming along? | Any progress on {0}? | Is somebody working on ticket {0}? | Has {0} been resolved?
run_command: I'd like to see the output of {0}. | Enter {0} in the shell. | Launch {0}. | Use the terminal for {0}.
run_python: Evaluate {0} in Python. | What is the result of {0}? | Let Python do {0}.
create_invoice: Charge {0} {1} euros. | Write a bill for {0} over {1}. | {0} has to pay {1}. | Invoice {0} for {1}.
invoice_status: Did the money for {0} come in? | What about the invoice {0}? | Has anyone settled {0}? | Is {0} still open? | Have we been paid for {0}?
sales_report: Were sales good in {0}? | How much money came in during {0}? | What did we earn in {0}? | How well did {0} go?
generate_image: Show me {0}. | Make me {0} to hang on the wall. | Paint me {0}. | I imagine {0}. Draw it. | Sketch {0}.
generate_password: I need something safe with {0} characters. | Think of a password, {0} long. | My password should have {0} signs, make one.
find_job: My brother is a {0}. Are there jobs? | Where is a {0} wanted? | I'm a {0} and look for work in {1}. | Does anyone in {1} hire a {0}?
traffic: Will I get stuck in {0}? | Are the streets of {0} full? | How's the drive through {0} right now?
parking: Is there somewhere to leave the car in {0}? | I'm driving to {0}. Where do I park?
feed_pet: My cat {0} wants dinner. | Time for {0}'s food. | {0} should get {1} grams. | Fill the bowl of {0}.
sensor_value: What's the reading on {0}? | Give me what {0} measures. | Check the sensor {0}.
get_weather: We're off to {0}. Umbrella or not? | My cousin is in {0}. Is she having good weather? | Should we take coats to {0}?
get_calories: How many calories are there in a plate of {0}? | I want to lose weight. Can I eat {0}?
set_thermostat: The {0} should go down to {1} degrees. | Put the heating in the {0} on {1} degrees. | Bring the {0} to {1}.
control_light: Switch the {0} {1:on/off}. | I want it {1:bright/dark} in the {0}. | {0} lamp {1:on/off} please.
read_file: Open {0} and read it to me. | Read {0} out to me. | Please read {0} and tell me what it says. | Show me {0}, please.
delete_file: Remove {0}, I don't want it.
create_ticket: We have a problem, {0}. Open a ticket. | A new ticket please: {0}
service_status: Could you check if {0} is alive?
get_stock_price: What is one {0} share worth? | {0} is listed on the exchange. At what price?
get_news: Did anything happen to {0} lately? | Are there news stories about {0}?
search_emails: Search my mailbox: {0} | Find what {1} wrote about {0}.
set_reminder: Remind me at {1} that I must {0}. | I need to {0} at {1}; remind me. | Reminder: {0} at {1} | Remind me to {0} at {1} please.
create_event: Put {0} in the diary for {1}. | Please enter {0} on {1}.
check_stock: Are there any more {0}?
get_price: What does a {0} sell for? | How much do you want for the {0}? | What's the cost of {0}? | Price of {0}?
translate: Translate to {1}: {0} | Tell me the {1} words for "{0}". | How is "{0}" said in {1}? | What do I say in {1} for "{0}"?
send_message: Give {0} a shout that {1}. | Tell {0}: {1}
call_contact: Ring up {0}. | Phone {0} now.
convert_currency: What would I get in {2} for {0} {1}? | Give me {0} {1} as {2}.
find_restaurant: I'd love some {1} food in {0}. Where do I go?
get_distance: How far do I have to drive from {0} to {1}? | What's the way from {0} to {1} in kilometres?
train_schedule: When can I leave {0} by train to get to {1}? | What time does the train go from {0} to {1}?
refund: Give the money for {0} back. | Refund {0}, please, it was our mistake.
order_status: Has order {0} been sent out yet?
get_user: I need to see the record of user {0}. | What's stored about user {0}?
deploy: {0} is tested. Put it on {1}.
"""

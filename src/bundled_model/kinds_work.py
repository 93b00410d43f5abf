"""Tool kinds of office, people, computers and knowledge as plain data; `tool_kinds.py` says how a block is read."""

WORK = """
# mail
n: send_email email send_mail mail
d: Send an email. | Send an e-mail to a person. | Mail somebody a message.
p: to/recipient/address/email=email body/message/text/content=clause
vp: send {0} an email saying {1} | email {0} that {1} | write to {0} that {1} | mail {0}: {1} | send an email to {0}: {1}
q: {0} should know by mail that {1}. | I want to tell {0} by email that {1}.
r: done

n: send_email compose_email send_mail
d: Send an email with a subject. | Write an e-mail to somebody.
p: to/recipient=email subject/title=thing body/message/text=clause
vp: send an email to {0} with the subject {1} and the text {2} | mail {0} about {1}: {2} | email {0}, subject {1}, saying {2}
q: Write to {0}. The subject is {1} and the text is: {2}
r: done

n: read_emails get_emails unread_mail check_inbox inbox
d: Read new emails. | List unread messages. | Check the inbox.
p:
np: my new emails | my unread mails
vp: check my inbox | read my new mails | check my mail
q: Do I have new mail? | Is there anything in my inbox? | Did anybody write to me? | Any new mails?
r: list

n: search_emails find_email search_mail search_inbox
d: Search the mailbox. | Find mails about something.
p: query/text/keyword=topic sender?/from_person?=person
np: the mails about {0} | the mail from {1} about {0}
vp: search my mail for {0} | find the email about {0} | find the mail from {1} about {0}
q: Who wrote me about {0}? | Where is the mail about {0}? | Did {1} write something about {0}?
r: list

n: send_message message text_message send_sms sms send_text
d: Send a message to a person. | Send a text message. | Write a short message to a contact.
p: to/recipient/name/contact=first text/message/body/content=clause
vp: tell {0} that {1} | text {0} that {1} | send {0} the message {1} | message {0}: {1} | let {0} know that {1} | write {0} that {1}
q: {0} must know that {1}. | Can {0} be told that {1}? | Inform {0} that {1}.
r: done

n: post_message slack_message post_to_channel send_to_channel
d: Post a message to a channel. | Write into a chat channel.
p: channel/room=channelname text/message=clause
vp: post "{1}" to {0} | write {1} in {0} | post in {0} that {1} | tell everyone in {0} that {1}
q: The people in {0} should read this: {1}
r: done

n: call_contact phone_call make_call call dial
d: Call a person. | Make a phone call. | Dial a contact.
p: name/contact/person/who=person
vp: call {0} | phone {0} | ring {0} | give {0} a call | dial {0}
q: I want to talk to {0} on the phone. | I need to speak to {0} now. | Get me {0} on the line.
r: done

n: forward_email forward_mail forward
d: Forward an email to somebody. | Pass a mail on.
p: email_id/mail_id/id=code to/recipient=email
vp: forward mail {0} to {1} | pass the email {0} on to {1}
q: {1} should see mail {0}.
r: done

n: block_sender mark_spam block_address
d: Block a sender. | Mark mails of an address as spam.
p: address/sender/email=email
vp: block {0} | mark {0} as spam
q: I don't want any more mail from {0}. | {0} keeps sending me rubbish.
r: done

# calendar
n: create_event add_event schedule_event calendar_add new_event
d: Create a calendar event. | Add an event to the calendar. | Put a date into the calendar.
p: title/name/summary/event=event date/day/when=day time?/start?/at?=time
vp: put {0} into my calendar for {1} | add {0} on {1} to my calendar | create an event {0} on {1} at {2} | schedule {0} for {1} at {2}
q: I have {0} on {1} at {2}, write it down. | {0} is on {1}. Please add it to the calendar. | {0} takes place on {1} at {2}.
r: done

n: list_events get_events calendar get_calendar agenda get_schedule
d: Events of a day. | List the calendar entries. | What is planned on a day.
p: date/day=day
np: my events on {0} | my calendar for {0} | my schedule for {0} | my appointments on {0}
vp: show me my calendar for {0} | list my meetings on {0}
q: What do I have on {0}? | What's on my agenda for {0}? | What have I planned for {0}? | Which meetings do I have on {0}?
r: list

n: check_availability availability free_time is_free
d: Check if a person is free. | Free time of somebody on a day.
p: person/name/who=person date/day=day
np: the free time of {0} on {1} | the availability of {0} on {1}
vp: check if {0} is free on {1}
q: Is {0} free on {1}? | Does {0} have time on {1}? | Can {0} meet on {1}? | Is {0} available on {1}?
r: sentence

n: schedule_meeting book_meeting create_meeting arrange_meeting
d: Schedule a meeting with a person. | Arrange a meeting.
p: person/attendee/participant/with_whom=person date/day=day time?/at?=time
vp: schedule a meeting with {0} on {1} | arrange a meeting with {0} on {1} at {2} | set up a call with {0} for {1} at {2}
q: I need to meet {0} on {1}. | {0} wants to see me on {1} at {2}. | {0} and I should meet on {1}.
r: done

n: cancel_meeting cancel_event delete_event remove_event
d: Cancel a meeting. | Delete an event from the calendar.
p: event/title/meeting/name=event
vp: cancel {0} | delete {0} from my calendar | remove {0} from the calendar
q: {0} does not take place. | I can't come to {0}, cancel it.
r: done

n: add_task create_todo add_todo new_task create_task todo
d: Add a task to the list. | Create a to-do. | Note something to do.
p: task/title/text/description=todo priority?=enum:low,medium,high due?/due_date?=day
vp: add a task: {0} | put "{0}" on my list | add {0} to my tasks with {1} priority | create a task to {0} by {2}
q: I still have to {0}. Note it. | {0} is a task for {2}, write it down.
r: done

n: list_tasks get_tasks show_todos open_tasks
d: List the open tasks. | Show what is to do.
p:
np: my open tasks | my to-do list
vp: list my tasks | show me my to-dos
q: What do I have to do? | What is left to do? | What should I do next?
r: list

n: complete_task finish_task mark_done close_task
d: Mark a task as done. | Finish a to-do.
p: task/task_id/id/title=todo
vp: mark "{0}" as done | tick off {0} | complete the task {0}
q: I finished this: {0} | The task {0} is done.
r: done

n: save_note create_note take_note add_note note
d: Save a note. | Write something down.
p: text/note/content=clause title?=thing
vp: save a note: {0} | note that {0} | write down that {0} | make a note called {1}: {0}
q: I want to remember that {0}.
r: done

n: search_notes find_note get_notes
d: Search the notes. | Find a note about something.
p: query/keyword/topic=topic
np: my notes about {0} | my notes on {0}
vp: search my notes for {0}
q: What did I write about {0}? | Where did I note {0}?
r: list

n: public_holidays get_holidays holidays
d: Public holidays of a country. | Holidays in a year.
p: country=country year?:integer=year
np: the public holidays in {0} | the holidays of {0} in {1}
vp: list the holidays of {0} in {1}
q: When do people not work in {0}? | On which days are the shops closed in {0}?
r: list

# people
n: get_age age_of lookup_age person_age
d: Age of a person. | How old somebody is.
p: name/person/user=person
np: the age of {0} | {0}'s age
vp: find out how old {0} is
q: How old is {0}? | Is {0} over 18? | Is {0} old enough to vote?
r: num

n: get_birthday birthday birth_date lookup_birthday
d: Birthday of a person. | When somebody was born.
p: name/person/contact=person
np: the birthday of {0} | {0}'s birthday | the birth date of {0}
vp: look up the birthday of {0}
q: When was {0} born? | When is {0} having a birthday? | On which day do I congratulate {0}? | When does {0} turn a year older?
r: date

n: get_email find_email_address lookup_email email_of
d: Email address of a person. | Find somebody's mail address.
p: name/person/contact=person
np: the email of {0} | {0}'s email address | the mail address of {0}
vp: find the email address of {0}
q: How can I mail {0}? | Where do I send a mail for {0}? | At which address can I write to {0}?
r: email

n: get_phone phone_number find_phone_number lookup_phone
d: Phone number of a person. | Find somebody's telephone number.
p: name/person/contact=person
np: the phone number of {0} | {0}'s number | {0}'s phone number
vp: find the number of {0}
q: How can I call {0}? | Under which number do I reach {0}? | What number does {0} have?
r: phone

n: get_address find_address address_of lookup_address
d: Address of a person. | Where somebody lives.
p: name/person/customer=person
np: the address of {0} | {0}'s address | the home address of {0}
vp: look up the address of {0}
q: Where does {0} live? | In which street does {0} live? | Where do I send a parcel for {0}?
r: street

n: get_user user_info lookup_user find_user user_details
d: Details of a user. | Look up a user by id. | Get a user's profile.
p: user_id/id/user:integer=num
np: the details of user {0} | the profile of user {0} | the data of user {0}
vp: look up user {0} | show me user {0} | find the user with the id {0}
q: Who is user {0}? | Who has the id {0}?
r: json

n: get_customer customer_info find_customer lookup_customer
d: Details of a customer. | Find a customer by name or number. | Customer record.
p: customer_id/customer/id=code
np: the details of customer {0} | the record of customer {0}
vp: look up customer {0} | open the file of customer {0}
q: Who is customer {0}? | What do we know about customer {0}?
r: json

n: create_user add_user register_user new_user
d: Create a user. | Register a person with a name and an email.
p: name/username=person email=email admin?/is_admin?:boolean=true
vp: create a user {0} with the email {1} | register {0} with {1} | add {0} ({1}) as a user
q: {0} is new here, the address is {1}. | We need an account for {0}, mail {1}.
r: done

n: delete_user remove_user deactivate_user
d: Delete a user. | Remove an account.
p: user/username/user_id/name=person
vp: delete the user {0} | remove {0} from the system | delete the account of {0}
q: {0} has left the company, delete the account. | {0} should have no account any more.
r: done

n: get_salary salary employee_salary
d: Salary of an employee. | What somebody earns.
p: employee/name/person=person
np: the salary of {0} | {0}'s salary | the pay of {0}
vp: look up the salary of {0}
q: How much does {0} earn? | What do we pay {0}? | What does {0} make a year?
r: price

n: get_manager find_manager manager_of boss_of
d: Manager of an employee. | Who somebody reports to.
p: employee/name/person=person
np: the manager of {0} | {0}'s manager | the boss of {0}
vp: find out who manages {0}
q: Who is the boss of {0}? | Whom does {0} report to? | Who leads {0}?
r: person

n: list_employees team_members get_team staff
d: Members of a department. | Who works in a team.
p: department/team=dept
np: the members of the {0} team | the people in {0}
vp: list the people in {0}
q: Who works in {0}? | How many people are in the {0} team? | Which colleagues are in {0}?
r: list

n: vacation_days get_leave remaining_vacation leave_balance
d: Vacation days left. | How much holiday an employee still has.
p: employee/name/person=person
np: the vacation days of {0} | the remaining leave of {0}
vp: check the leave of {0}
q: How many days off does {0} have left? | Can {0} still take holidays? | Does {0} have any vacation left?
r: num

n: request_leave book_vacation apply_leave
d: Request vacation. | Ask for days off.
p: start/from_date/start_date=date end/to_date/end_date=date
vp: request leave from {0} to {1} | book my vacation from {0} to {1}
q: I want to be off from {0} until {1}. | I'm away from {0} to {1}.
r: done

n: get_grade exam_grade student_grade
d: Grade of a student. | Result of an exam.
p: student/name=person subject/course=subject
np: the grade of {0} in {1} | {0}'s grade in {1}
vp: look up the {1} grade of {0}
q: How did {0} do in {1}? | Did {0} pass {1}? | Which mark did {0} get in {1}?
r: word

n: enroll register_course enroll_student sign_up
d: Enroll a student in a course. | Sign somebody up for a class.
p: student/name=person course/class_name/subject=subject
vp: enroll {0} in {1} | sign {0} up for {1} | register {0} for the {1} course
q: {0} wants to take {1}. | {0} would like to learn {1}, please sign up.
r: done

# knowledge
n: search web_search search_web google_search internet_search tavily_search
d: Search the web. | Search the internet for information. | Useful for questions about current events. | Look something up online.
p: query/q/search_query/input=topic
np: information about {0} | information on {0}
vp: search for {0} | search the web for {0} | google {0} | look up {0} online | find out about {0} | look up {0}
q: What does the internet say about {0}? | Tell me about {0}. | What can you find about {0}? | I need information on {0}. | What do you know about {0}? | Can you find anything on {0}?
r: sentence

n: wikipedia wiki_search wikipedia_search encyclopedia
d: Look up an article in the encyclopedia. | Encyclopedia facts about a person, place or thing.
p: topic/title/query/article=proper
np: the encyclopedia article on {0} | the article about {0}
vp: look up {0} in the encyclopedia | find the wiki article about {0}
q: Who was {0}? | What is {0}? | Tell me something about {0}.
r: sentence

n: search_docs retriever document_search search_documents knowledge_base retrieve
d: Search the documents. | Search the knowledge base. | Find passages in the company documents.
p: query/question/input=topic
np: the documents about {0}
vp: search the documents for {0} | search our docs for {0} | look into the documents about {0}
q: What do our documents say about {0}? | Where in the handbook is {0}? | Is there anything in the docs on {0}?
r: sentence

n: get_population population country_population city_population
d: Population of a country or city. | Number of inhabitants. | How many people live somewhere.
p: place/country/city/name=place
np: the population of {0} | the number of inhabitants of {0}
vp: look up the population of {0}
q: How many people live in {0}? | How many inhabitants does {0} have? | How big is {0}? | How many people are there in {0}?
r: bignum

n: get_capital capital capital_city
d: Capital of a country. | Which city is the capital.
p: country/nation/name=country
np: the capital of {0} | the capital city of {0}
vp: look up the capital of {0} | name the capital of {0}
q: Which city is the capital of {0}? | Where does the government of {0} sit?
r: place

n: country_info get_country country_facts
d: Facts about a country. | Currency, language and area of a country.
p: country/name=country
np: the facts about {0} | the currency of {0} | the language of {0}
vp: look up the country {0}
q: What money do they use in {0}? | Which language do people speak in {0}? | How do they pay in {0}?
r: word

n: unit_converter convert_units convert convert_unit
d: Convert a value between units. | Unit conversion. | Convert lengths and weights.
p: value/amount/quantity:number=num from_unit/source/unit_from=unit to_unit/target/unit_to=unit
np: {0} {1} in {2}
vp: convert {0} {1} to {2} | change {0} {1} into {2}
q: How many {2} are {0} {1}? | How much is {0} {1} in {2}? | How many {2} are in {0} {1}?
r: num

n: planet_info get_planet planet
d: Facts about a planet. | Size and distance of a planet.
p: planet/name=proper
np: the size of the planet {0} | the mass of the planet {0}
vp: look up the planet {0}
q: How big is the planet {0}? | How far away is the planet {0}?
r: sentence

n: element_info chemical_element get_element
d: Facts about a chemical element. | Atomic number of an element.
p: element/symbol/name=proper
np: the atomic number of {0} | the symbol of the element {0}
vp: look up the element {0}
q: What kind of element is {0}?
r: num

n: historical_event on_this_day history_lookup
d: What happened on a day. | Historical events of a date.
p: date/day=date
np: the events of {0} in history
vp: look up what happened on {0}
q: What happened on {0}? | What was important on {0} in history?
r: sentence

n: animal_facts animal_info get_animal
d: Facts about an animal. | Information on animals.
p: animal/species/name=animal
np: some facts about the {0}
vp: look up the {0}
q: How long does a {0} live? | What does a {0} eat? | How fast is a {0}? | Where do {0}s live? | Is a {0} dangerous?
r: sentence

n: plant_care plant_info care_tips
d: Care tips for a plant. | How to look after a plant.
p: plant/name=plant
np: care tips for a {0}
vp: look up how to care for a {0}
q: How often must I water a {0}? | How much sun does a {0} need? | My {0} is dying. What can I do?
r: sentence

n: who_invented inventor get_inventor
d: Inventor of a thing. | Who invented something.
p: invention/thing/item=thing
np: the inventor of the {0}
vp: find out who invented the {0}
q: Who invented the {0}? | Who came up with the {0}? | Who had the idea of the {0}?
r: person

n: geocode get_coordinates coordinates locate
d: Coordinates of an address. | Latitude and longitude of a place.
p: address/place/location=place
np: the coordinates of {0} | the latitude of {0} | the position of {0}
vp: locate {0} on the map
q: Where exactly is {0}? | Where on the map is {0}?
r: coords

n: elevation get_elevation altitude
d: Height of a place above the sea. | Elevation of a location.
p: place/location/mountain=place
np: the elevation of {0} | the altitude of {0}
vp: look up the elevation of {0}
q: How high is {0}? | How high above the sea is {0}?
r: dist

# files
n: read_file open_file get_file file_contents show_file
d: Read a file. | Content of a file. | Open a text file and return what is in it.
p: path/filename/file/file_path=path
np: the content of {0} | the text in {0} | the contents of the file {0}
vp: read {0} | open {0} | open the file {0} | show me {0} | read the file {0}
q: What is in {0}? | What does {0} say? | What is written in {0}? | What's inside {0}?
r: sentence

n: write_file save_file create_file write_to_file
d: Write text to a file. | Save content in a file.
p: path/filename/file=path content/text/data=clause
vp: write "{1}" to {0} | save {1} in {0} | create {0} with the text {1} | put "{1}" into the file {0}
q: The file {0} should contain: {1}
r: done

n: delete_file remove_file erase_file
d: Delete a file. | Remove a file from the disk.
p: path/filename/file=path
vp: delete {0} | remove the file {0} | throw away {0} | erase {0}
q: I don't need {0} any more. | {0} can go. | The file {0} is old, delete it.
r: done

n: list_files ls list_directory show_files dir
d: List the files of a folder. | What is in a directory.
p: path/folder/directory=folder
np: the files in {0} | the content of the folder {0}
vp: list {0} | list the files in {0} | show the files in {0}
q: Which files are in {0}? | What is in the folder {0}? | What do I have in {0}?
r: list

n: copy_file cp duplicate_file
d: Copy a file. | Make a copy of a file at another place.
p: source/src/from_path=path destination/dst/to_path=path
vp: copy {0} to {1} | make a copy of {0} at {1} | duplicate {0} as {1}
q: I want {0} also at {1}.
r: done

n: move_file rename_file mv rename
d: Move or rename a file. | Give a file a new name.
p: source/old/old_name/from_path=path destination/new/new_name/to_path=path
vp: rename {0} to {1} | move {0} to {1}
q: {0} should be called {1}. | The name of {0} should be {1}.
r: done

n: file_size get_file_size size_of_file
d: Size of a file. | How big a file is.
p: path/file/filename=path
np: the size of {0} | the size of the file {0}
vp: check the size of {0}
q: How big is {0}? | How large is the file {0}? | How many bytes does {0} have?
r: size

n: download_file download fetch_url get_url
d: Download a file from the web. | Fetch the content of a URL.
p: url/link/address=url
np: the content of {0}
vp: download {0} | fetch {0} | get the page {0} | load {0}
q: What is on the page {0}? | What does {0} say?
r: sentence

n: search_files find_files grep find_in_files
d: Search files for a text. | Find files that contain something.
p: pattern/text/query=word path?/folder?/directory?=folder
np: the files with {0} in {1} | the files that contain {0}
vp: search the files for {0} | search {1} for {0} | find {0} in {1}
q: Where does {0} occur in {1}? | Which files contain {0}? | In which files do I find {0}?
r: list

n: zip_folder compress make_archive compress_folder
d: Compress a folder. | Pack files into an archive.
p: path/folder=folder
vp: zip {0} | compress the folder {0} | pack {0} into an archive
q: {0} is too big, make an archive of it.
r: done

n: disk_space disk_usage free_space
d: Free space on a disk. | How full the disk is.
p: disk?/drive?/path?=folder
np: the free disk space | the free space on {0} | the disk usage of {0}
vp: check the disk space
q: How much space is left? | Is the disk full? | How full is {0}? | Is there room left on {0}?
r: size

n: print_document print print_file
d: Print a document. | Send a file to the printer.
p: file/path/document=path copies?/count?:integer=small
vp: print {0} | print {0} {1} times | print {1} copies of {0}
q: I need {0} on paper. | I need {1} copies of {0}.
r: done

# database
n: run_query execute_sql query_database sql_query sql
d: Run an SQL query. | Execute SQL on the database. | Query the database.
p: query/sql/statement=sql
np: the result of {0}
vp: run {0} | execute {0} | run the query {0}
q: What does {0} return? | What comes back for {0}?
r: list

n: list_tables show_tables get_tables
d: List the tables of the database. | Which tables exist.
p:
np: the tables of the database | the list of tables
vp: list the tables | show all tables
q: Which tables are there? | What tables does the database have? | How is the database organised?
r: list

n: table_schema describe_table get_schema columns
d: Columns of a table. | Schema of a database table.
p: table/table_name/name=tablename
np: the columns of {0} | the schema of the {0} table
vp: describe the table {0} | describe {0}
q: Which columns does {0} have? | How does the table {0} look?
r: list

n: count_records row_count number_of_rows
d: Number of rows in a table. | Count the records of a table.
p: table/table_name=tablename
np: the number of rows in {0} | the row count of {0} | the number of records in {0}
vp: count the rows of {0}
q: How many rows does {0} have? | How many records are in {0}? | How big is the table {0}?
r: num

n: insert_record add_record insert_row
d: Insert a record into a table. | Add a row.
p: table/table_name=tablename name/value=person
vp: insert {1} into {0} | add {1} to the table {0}
q: {1} is missing in {0}, add it.
r: done

n: delete_record delete_row remove_record
d: Delete a record. | Remove a row by its id.
p: table/table_name=tablename id/record_id:integer=num
vp: delete record {1} from {0} | remove row {1} of {0}
q: Row {1} in {0} is wrong, delete it.
r: done

n: backup_database create_backup backup
d: Make a backup of a database. | Back up data.
p: database/name/db=tablename
vp: back up {0} | make a backup of {0} | save a copy of the database {0}
q: Before we go on, {0} needs a backup.
r: done

# devops
n: service_status check_service health_check get_status status
d: Status of a service. | Whether a service is running. | Check the health of a server.
p: service/name/server/host=service
np: the status of {0} | the health of {0} | the state of the {0} service
vp: check {0} | check if {0} is running | check the health of {0}
q: Is {0} running? | Is {0} up? | Is {0} down? | Does {0} still work? | Is everything fine with {0}? | Is {0} alive?
r: status

n: restart_service restart reboot_server restart_server
d: Restart a service. | Reboot a server.
p: service/name/server=service
vp: restart {0} | reboot {0} | restart the {0} service
q: {0} hangs. | {0} does not answer any more, start it again. | Turn {0} off and on again.
r: done

n: stop_service shutdown stop_server kill_service
d: Stop a service. | Shut a server down.
p: service/name/server=service
vp: stop {0} | shut down {0} | stop the {0} service
q: {0} must not run any longer.
r: done

n: deploy deploy_app deploy_service release
d: Deploy a service to an environment. | Release a version.
p: service/app/name=service environment/env/target=enum:staging,production,test version?=version
vp: deploy {0} to {1} | deploy version {2} of {0} to {1} | release {0} {2} on {1} | roll out {0} to {1}
q: {0} should go to {1}. | Version {2} of {0} is ready for {1}.
r: done

n: rollback roll_back_deployment revert_deployment
d: Roll a service back to an earlier version. | Undo a release.
p: service/app=service version?=version
vp: roll back {0} | roll {0} back to {1} | go back to version {1} of {0}
q: The last release of {0} was bad, undo it.
r: done

n: get_logs show_logs read_logs fetch_logs logs
d: Logs of a service. | Read the last log lines.
p: service/app/name=service lines?/limit?/count?:integer=num
np: the logs of {0} | the last {1} log lines of {0} | the log of {0}
vp: show me the logs of {0} | get the last {1} lines of the {0} log
q: What does the log of {0} say? | What went wrong in {0}?
r: sentence

n: cpu_usage get_cpu server_load system_load
d: CPU load of a server. | How busy a machine is.
p: server/host/machine=service
np: the CPU usage of {0} | the load of {0} | the load on {0}
vp: check the CPU of {0}
q: How busy is {0}? | Is {0} overloaded? | How hard does {0} work?
r: pct

n: memory_usage get_memory ram_usage
d: Memory use of a server. | How much RAM is used.
p: server/host/machine=service
np: the memory usage of {0} | the RAM usage of {0}
vp: check the memory of {0}
q: How much memory does {0} use? | Does {0} have enough RAM?
r: size

n: scale_service scale set_replicas
d: Set the number of instances of a service. | Scale a service.
p: service/app/deployment=service replicas/instances/count:integer=small
vp: scale {0} to {1} instances | run {1} copies of {0} | scale {0} to {1}
q: {0} needs {1} instances.
r: done

n: ping ping_host check_host
d: Ping a host. | Measure whether a machine answers.
p: host/address/ip=ip
np: the ping time of {0}
vp: ping {0}
q: Does {0} answer? | Can you reach {0}? | Is {0} reachable?
r: sentence

n: dns_lookup resolve_host get_ip lookup_domain
d: IP address of a domain. | Resolve a host name.
p: domain/host/hostname=domain
np: the IP address of {0} | the IP of {0}
vp: resolve {0}
q: Where does {0} point to? | To which address does {0} resolve?
r: ip

n: create_ticket open_ticket new_ticket create_issue report_bug open_issue
d: Open a ticket. | Create an issue in the tracker. | Report a bug.
p: title/summary/subject=clause priority?/severity?=enum:low,medium,high,critical
vp: open a ticket: {0} | create an issue with the title {0} | report a bug: {0} | open a {1} priority ticket: {0}
q: There is a bug: {0} | Someone should look at this problem: {0}
r: code

n: ticket_status get_ticket get_issue issue_status
d: Status of a ticket. | How far an issue is.
p: ticket_id/ticket/issue/id/key=code
np: the status of ticket {0} | the state of issue {0}
vp: look up ticket {0} | check ticket {0}
q: Is ticket {0} done? | How far is {0}? | Who works on {0}? | Has issue {0} been fixed? | What about ticket {0}?
r: status

n: assign_ticket assign_issue assign
d: Assign a ticket to a person. | Give an issue to somebody.
p: ticket_id/ticket/issue=code person/assignee/user=person
vp: assign {0} to {1} | give ticket {0} to {1}
q: {1} should take care of {0}. | {1} will work on ticket {0}.
r: done

n: close_ticket close_issue resolve_ticket
d: Close a ticket. | Mark an issue as solved.
p: ticket_id/ticket/issue/id=code
vp: close ticket {0} | close {0} | mark issue {0} as solved
q: {0} is solved. | Ticket {0} can be closed.
r: done

n: run_tests test run_test_suite execute_tests
d: Run the tests of a project. | Execute a test suite.
p: project/suite/path=service
vp: run the tests of {0} | test {0} | run the {0} test suite
q: Do the tests of {0} pass? | Does {0} pass its tests?
r: sentence

n: build_project build compile start_build trigger_build
d: Build a project. | Start a build of a branch.
p: branch/project/name=branch
vp: build {0} | start a build of {0} | compile {0}
q: Does {0} compile? | I need a fresh build of {0}.
r: done

n: create_branch new_branch git_branch
d: Create a git branch. | Make a new branch.
p: name/branch=branch base?/from_branch?=branch
vp: create a branch {0} | make a branch {0} from {1} | branch {0} off {1}
q: I need a new branch called {0}.
r: done

n: merge_branch merge git_merge
d: Merge a branch into another. | Merge changes.
p: source/branch/head=branch target/into/base=branch
vp: merge {0} into {1} | bring {0} into {1}
q: {0} is ready, merge it into {1}.
r: done

n: run_command execute shell run_shell terminal bash
d: Run a shell command. | Execute a command in the terminal.
p: command/cmd=command
np: the output of {0}
vp: run {0} | execute {0} | run the command {0} | type {0} in the shell
q: What does {0} print?
r: sentence

n: run_python python python_repl execute_code run_code
d: Run Python code. | A Python shell. | Execute code and return what it prints.
p: code/source/input=code_text
np: the output of {0}
vp: run {0} | execute the code {0} | run this code: {0}
q: What does {0} print? | What happens when I run {0}?
r: num

n: install_package pip_install install
d: Install a package. | Add a library.
p: package/name/library=package version?=version
vp: install {0} | install {0} version {1} | install {0} {1}
q: I need the library {0}. | {0} is missing, install it.
r: done

n: http_get call_api get_request request
d: Make an HTTP GET request. | Call a web API.
p: url/endpoint=url
np: the response of {0}
vp: call {0} | send a GET request to {0}
q: What does {0} answer?
r: json

# office
n: create_invoice new_invoice make_invoice bill_customer
d: Create an invoice. | Bill a customer an amount.
p: customer/client/name=company amount/total:number=num
vp: create an invoice over {1} for {0} | bill {0} {1} euros | send {0} an invoice for {1}
q: {0} owes us {1}, write an invoice.
r: code

n: invoice_status check_invoice get_invoice
d: Status of an invoice. | Whether an invoice is paid.
p: invoice_id/invoice/number=code
np: the status of invoice {0} | the amount of invoice {0}
vp: check invoice {0} | look up invoice {0}
q: Is invoice {0} paid? | Has {0} been paid? | Did they pay invoice {0}? | Is {0} overdue?
r: status

n: sales_report get_sales revenue sales
d: Sales of a period. | Revenue in a month.
p: period/month/quarter=month year?:integer=year
np: the sales of {0} | the revenue in {0} | the sales of {0} {1}
vp: show the sales for {0}
q: How much did we sell in {0}? | How was business in {0}? | How much did we make in {0} {1}?
r: price

n: company_info get_company company_profile
d: Facts about a company. | Who runs a company and where it sits.
p: company/name=company
np: the facts about {0} | the head office of {0} | the CEO of {0}
vp: look up the company {0}
q: Who runs {0}? | What does {0} make? | Where is {0} based? | Who is the boss of {0}? | When was {0} founded?
r: sentence

n: reserve_meeting_room book_meeting_room room_booking
d: Book a meeting room. | Reserve a room of the office.
p: room/name=meetroom day/date=day time?/at?=time
vp: book the {0} room for {1} | reserve {0} on {1} at {2}
q: We want to meet in {0} on {1}. | Is room {0} ours on {1}? Please book it.
r: done

n: contract_details get_contract contract
d: Details of a contract. | When a contract ends.
p: contract_id/contract/id=code
np: the details of contract {0} | the end date of contract {0}
vp: look up contract {0}
q: When does contract {0} end? | How long does {0} run?
r: date

n: create_report generate_report make_report report
d: Generate a report on a topic. | Write a report.
p: topic/subject/title=topic format?/output?=enum:pdf,html,csv
vp: create a report on {0} | generate a {1} report about {0} | make a report about {0} as {1}
q: I need a report on {0}. | The boss wants a {1} about {0}.
r: path

n: plot_chart draw_chart make_chart plot
d: Draw a chart of some data. | Plot a column.
p: data/column/series=tablename kind?/chart_type?=enum:bar,line,pie
vp: plot {0} | draw a {1} chart of {0} | make a chart of {0}
q: I want to see {0} as a {1} chart.
r: path

n: generate_image create_image draw_picture make_image
d: Generate an image from a description. | Draw a picture.
p: prompt/description/text=scene size?/width?:integer=num
vp: draw {0} | make a picture of {0} | generate an image of {0} | paint {0}
q: I'd love a picture of {0}. | I need an image that shows {0}.
r: path

n: generate_password create_password new_password random_password
d: Generate a random password. | Make a safe password.
p: length/n/size:integer=small
np: a password with {0} characters | a random password of length {0}
vp: make a password of {0} characters | generate a password with {0} letters
q: I need a new password, {0} characters long.
r: word

n: change_password reset_password set_password
d: Reset the password of a user. | Send a new password.
p: user/username/email=email
vp: reset the password of {0} | send {0} a new password
q: {0} forgot the password. | {0} can't log in any more.
r: done

n: shorten_url short_link make_short_url
d: Shorten a URL. | Make a short link.
p: url/link=url
np: a short link for {0}
vp: shorten {0} | make {0} shorter
q: {0} is too long for a text message.
r: url

n: qr_code make_qr_code generate_qr
d: Make a QR code. | Encode a text as a QR code.
p: text/data/url=url
np: a QR code for {0}
vp: make a QR code of {0} | encode {0} as QR code
q: People should scan {0}.
r: path

n: vote cast_vote poll_vote
d: Vote for an option. | Cast a vote.
p: option/candidate/choice=first
vp: vote for {0} | give my vote to {0}
q: My vote goes to {0}.
r: done

n: subscribe add_subscriber newsletter_signup
d: Subscribe somebody to a newsletter. | Add a subscriber.
p: email/address=email
vp: subscribe {0} | sign {0} up for the newsletter
q: {0} wants to get the newsletter.
r: done

n: unsubscribe remove_subscriber newsletter_leave
d: Take somebody off the newsletter. | Remove a subscriber.
p: email/address=email
vp: unsubscribe {0} | take {0} off the newsletter
q: {0} doesn't want our newsletter any more.
r: done

n: parking find_parking parking_spots
d: Free parking places. | Where to park in a city.
p: city/place/location=place
np: a parking space in {0} | the free parking places in {0}
vp: find parking in {0}
q: Where can I park in {0}? | Where do I leave my car in {0}?
r: street

n: charging_stations find_charger ev_charging
d: Charging stations for electric cars. | Where to charge a car.
p: city/place/location=place
np: the charging stations in {0}
vp: find a charger in {0}
q: Where can I charge my car in {0}?
r: street

n: traffic get_traffic traffic_info
d: Traffic on a road or in a city. | Traffic jams.
p: location/city/road=place
np: the traffic in {0} | the traffic around {0}
vp: check the traffic in {0}
q: Are there jams in {0}? | How are the roads in {0}? | Can I drive through {0} quickly?
r: sentence

n: fuel_price gas_price petrol_price
d: Price of fuel in a city. | What petrol costs.
p: city/location=place fuel?/kind?=enum:diesel,petrol,gas
np: the fuel price in {0} | the price of {1} in {0}
vp: look up the petrol price in {0}
q: What does {1} cost in {0}? | How expensive is it to fill the tank in {0}?
r: price

n: find_job search_jobs job_search
d: Search for jobs. | Open positions in a city.
p: title/job/role=jobtitle city?/location?=place
np: jobs as a {0} | {0} jobs in {1} | open positions for a {0} in {1}
vp: find a job as a {0} | find {0} jobs in {1}
q: Who needs a {0} in {1}? | I want to work as a {0} in {1}. | Are there openings for a {0} in {1}?
r: list

n: find_apartment search_apartments apartments rent_search
d: Search for flats. | Apartments for rent in a city.
p: city/location=place max_rent/price/budget:integer=num
np: flats in {0} under {1} | an apartment in {0} for at most {1}
vp: find a flat in {0} for {1} a month
q: I want to live in {0} and can pay {1}. | Where in {0} can I live for {1}?
r: list

n: check_spam spam_filter is_spam
d: Check whether a text is spam. | Spam filter.
p: text/message=clause
vp: check this for spam: {0}
q: Is "{0}" spam? | Is this junk: {0}
r: bool

n: pet_adoption find_pet adopt_pet
d: Find a pet to adopt. | Animals in the shelter.
p: animal/species/kind=animal city?/place?=place
np: a {0} to adopt | a {0} to adopt in {1}
vp: find a {0} to adopt in {1}
q: I want to have a {0}. | Does the shelter in {1} have a {0}?
r: list

n: horoscope get_horoscope daily_horoscope
d: Horoscope for a sign. | What the stars say.
p: sign/zodiac=sign
np: the horoscope for {0} | today's horoscope for {0}
vp: read the horoscope for {0}
q: I'm a {0}. What will today bring? | What do the stars say for {0}?
r: sentence

n: check_in hotel_checkin flight_checkin
d: Check in for a booking. | Online check-in.
p: booking/booking_code/reference=code
vp: check me in, my booking is {0} | check in for {0}
q: My booking code is {0}, I'd like to check in.
r: done

n: start_game new_game play_game
d: Start a game. | Begin a new game with some players.
p: game/name=game players?/count?:integer=small
vp: start a game of {0} | start {0} with {1} players | play {0}
q: We are {1} and want to play {0}. | Let's have a round of {0}.
r: done

n: feed_pet feed_animal feed
d: Feed a pet. | Give an animal food.
p: pet/name/animal=first grams?/amount?:integer=num
vp: feed {0} | give {0} {1} grams of food | feed {0} with {1} grams
q: {0} is hungry. | {0} has not eaten yet.
r: done

n: sensor_value read_sensor get_sensor sensor
d: Value of a sensor. | Read a sensor by its id.
p: sensor_id/sensor/id=code
np: the value of sensor {0} | the reading of {0}
vp: read sensor {0} | read the sensor {0}
q: What does sensor {0} show? | What does {0} measure?
r: num

n: machine_status robot_status get_machine
d: State of a machine. | Whether a machine works.
p: machine/machine_id/robot=code
np: the state of machine {0} | the status of robot {0}
vp: check machine {0}
q: Is machine {0} working? | Does robot {0} need help?
r: status
"""

"""Further tool kinds as plain data: lists, study, science, vehicles, media, cloud, shops, public life, games."""

MORE = """
# maths
n: average mean compute_average calculate_mean avg
d: Average of a list of numbers. | Computes the mean. | Mean value of some numbers.
p: numbers/values/data/nums:number[]=nums
np: the average of {0} | the mean of {0}
vp: average {0} | compute the mean of {0}
q: What do {0} come to on average? | My marks are {0}. How good am I on average?
r: num

n: maximum max_value largest find_max
d: Largest number of a list. | Finds the maximum.
p: numbers/values/data:number[]=nums
np: the maximum of {0} | the largest of {0} | the biggest number among {0}
vp: find the largest of {0}
q: Which is the biggest of {0}? | Which number is highest: {0}?
r: num

n: minimum min_value smallest find_min
d: Smallest number of a list. | Finds the minimum.
p: numbers/values/data:number[]=nums
np: the minimum of {0} | the smallest of {0}
vp: find the smallest of {0}
q: Which is the lowest of {0}? | Which number is the least: {0}?
r: num

n: sum_list total add_up sum_numbers
d: Adds up a list of numbers. | Total of many numbers.
p: numbers/values/items:number[]=nums
np: the total of {0} | the sum of {0}
vp: add up {0} | total {0}
q: How much are {0} altogether? | The bills are {0}. What do I pay in all?
r: num

n: sort_list sort sort_numbers order_list
d: Sorts a list. | Puts numbers in order.
p: numbers/values/items:number[]=nums
vp: sort {0} | put {0} in order | order the numbers {0}
q: Which order do {0} have?
r: list

n: median compute_median
d: Median of a list of numbers. | The middle value.
p: numbers/values:number[]=nums
np: the median of {0} | the middle value of {0}
vp: compute the median of {0}
q: Which value lies in the middle of {0}?
r: num

n: compound_interest interest savings_growth
d: Compound interest on savings. | What money grows to over years.
p: principal/amount:number=num rate/percent:number=small years/time:integer=small
np: the interest on {0} at {1} percent for {2} years | the value of {0} after {2} years at {1}%
vp: compute the interest on {0} at {1}% over {2} years
q: I put {0} in the bank at {1} percent. What is it after {2} years?
r: price

n: discount apply_discount sale_price discounted_price
d: Price after a discount. | Takes some percent off a price.
p: price/amount:number=dec percent/discount:number=small
np: the price of {0} with {1} percent off | {0} minus {1} percent discount
vp: take {1} percent off {0} | apply a {1}% discount to {0}
q: It costs {0} and is {1} percent off. What do I pay? | The shirt is {0} with {1}% off. How much is it now?
r: num

n: triangle_area area_of_triangle
d: Area of a triangle. | From base and height.
p: base/b:number=num height/h:number=num
np: the area of a triangle with base {0} and height {1}
vp: compute the area of a triangle with base {0} and height {1}
q: A triangle has base {0} and height {1}. How big is it?
r: num

n: hypotenuse pythagoras
d: Longest side of a right triangle. | Pythagoras.
p: a/x/leg1:number=num b/y/leg2:number=num
np: the hypotenuse of a triangle with sides {0} and {1}
vp: find the hypotenuse for {0} and {1}
q: The short sides are {0} and {1}. How long is the long one?
r: num

n: modulo remainder mod
d: Remainder of a division. | a modulo b.
p: a/x/number:integer=num b/y/divisor:integer=small
np: the remainder of {0} divided by {1} | {0} modulo {1} | {0} mod {1}
vp: compute {0} mod {1}
q: What is left over when I divide {0} by {1}?
r: num

n: fibonacci fib nth_fibonacci
d: The n-th Fibonacci number. | Fibonacci sequence.
p: n/index/number:integer=small
np: the Fibonacci number {0} | fibonacci({0}) | the {0}th Fibonacci number
vp: compute the {0}th Fibonacci number
q: Which number stands at place {0} of the Fibonacci sequence?
r: num

n: round_number round round_to
d: Round a number. | Rounds to some digits.
p: number/value/x:number=dec digits/places/decimals:integer=small
np: {0} rounded to {1} digits
vp: round {0} to {1} digits | round {0} to {1} places
q: What is {0} with {1} decimals?
r: num

n: to_binary binary convert_to_binary
d: Binary form of a number. | Writes a number with zeros and ones.
p: number/n/value:integer=num
np: {0} in binary | the binary form of {0}
vp: convert {0} to binary | write {0} in binary
q: How does {0} look with zeros and ones?
r: num

n: roman_numeral to_roman roman
d: Roman numeral of a number. | Writes a number in Roman letters.
p: number/n:integer=num
np: {0} in Roman numerals | the Roman numeral for {0}
vp: write {0} in Roman numerals
q: How did the Romans write {0}?
r: word

n: abs_value absolute magnitude
d: Absolute value of a number.
p: x/number/value:number=num
np: the absolute value of {0}
vp: take the absolute value of {0}
q: How big is {0} without its sign?
r: num

n: solve_equation equation_solver solve
d: Solve an equation for x. | Finds the unknown.
p: equation/expr/problem=equation
np: the solution of {0} | x in {0}
vp: solve {0} | solve the equation {0}
q: For which x is {0}? | Which x fits {0}?
r: num

# text
n: uppercase to_upper upper_case shout
d: Text in capital letters. | Makes a text upper case.
p: text/s/input=clause
np: "{0}" in capital letters | {0} in upper case
vp: write "{0}" in capitals | make "{0}" upper case
q: How does "{0}" look in big letters?
r: word

n: lowercase to_lower lower_case
d: Text in small letters. | Makes a text lower case.
p: text/s/input=word
np: {0} in lower case | {0} in small letters
vp: write {0} in small letters | make {0} lower case
q: How does {0} look in small letters?
r: word

n: string_length text_length length_of_text
d: Number of characters of a text. | How long a text is.
p: text/s/word/input=word
np: the length of {0} | the number of characters in {0}
vp: measure how long the word {0} is
q: How many characters does {0} have? | How many letters are in {0}? | How long is the word {0}?
r: num

n: replace_text find_and_replace substitute
d: Replace a word by another. | Swap words in a text.
p: old/find/search=word new/replace/replacement=word
vp: replace {0} by {1} | change every {0} to {1} | put {1} wherever {0} stands
q: Where it says {0} it should say {1}.
r: sentence

n: concat join_strings concatenate
d: Join two texts. | Puts one text behind another.
p: a/first/left=word b/second/right=word
np: {0} and {1} joined
vp: join {0} and {1} | put {0} and {1} together | glue {0} to {1}
q: What word do {0} and {1} make together?
r: word

n: is_palindrome palindrome check_palindrome
d: Check whether a word is a palindrome. | Same forwards and backwards.
p: word/text=word
vp: check if {0} is a palindrome
q: Is {0} a palindrome? | Does {0} read the same backwards?
r: bool

n: make_anagram anagrams find_anagrams
d: Anagrams of a word. | Other words with the same letters.
p: word/letters=word
np: the anagrams of {0}
vp: find anagrams of {0}
q: What can I spell with the letters of {0}?
r: list

n: extract_keywords keywords get_keywords
d: Keywords of a text. | Most important words.
p: text/content=clause
np: the keywords of "{0}"
vp: extract the keywords from: {0}
q: Which words matter most in: {0}
r: list

n: write_poem poem create_poem
d: Write a poem about something. | Poet.
p: topic/subject/about=thing
np: a poem about {0}
vp: write a poem about {0} | make up a verse on {0}
q: I'd love to read some verses about {0}.
r: sentence

n: grammar_check check_grammar fix_grammar proofread
d: Check the grammar of a sentence. | Corrects a sentence.
p: sentence/text=clause
vp: check the grammar of "{0}" | correct this sentence: {0} | proofread: {0}
q: Is this good English: {0} | Did I write this right: {0}
r: sentence

# vehicles
n: start_car start_engine remote_start
d: Start the engine of a car. | Remote start.
p: car/vehicle/plate=code
vp: start the car {0} | start the engine of {0} | turn on the motor of {0}
q: {0} should be running when I come.
r: done

n: car_location find_car vehicle_location locate_vehicle
d: Where a vehicle is. | Position of a car.
p: vehicle/car/vehicle_id/plate=code
np: the position of vehicle {0} | the location of car {0}
vp: locate vehicle {0}
q: Where did I leave car {0}? | Where is truck {0}? | Where has vehicle {0} been parked?
r: street

n: fuel_level tank_level get_fuel
d: How full the tank of a vehicle is. | Fuel left.
p: vehicle/car/vehicle_id=code
np: the fuel level of {0} | the tank level of vehicle {0}
vp: check the tank of {0}
q: How much petrol does {0} have? | Must I fill up {0}? | How far can {0} still go?
r: pct

n: battery_level charge_level battery_status get_battery
d: Battery charge of a device. | How much charge is left.
p: device/name/gadget=device
np: the battery level of the {0} | the charge of the {0}
vp: check the battery of the {0}
q: How full is the battery of the {0}? | Does the {0} need charging? | How much battery does the {0} have left?
r: pct

n: book_service car_service schedule_maintenance workshop_appointment
d: Book a service for a car. | Maintenance appointment in a workshop.
p: vehicle/car/plate=code day/date=day
vp: book a service for {0} on {1} | take {0} to the workshop on {1}
q: {0} makes strange noises, get it looked at on {1}.
r: done

n: tire_pressure check_tires tyre_pressure
d: Pressure of the tires. | Tire check of a car.
p: vehicle/car=code
np: the tire pressure of {0}
vp: check the tires of {0}
q: Do the tires of {0} have enough air?
r: num

n: toll_cost road_toll toll
d: Toll for a road trip. | What a motorway costs.
p: start/origin/from_city=place end/destination/to_city=place
np: the toll from {0} to {1}
vp: compute the toll from {0} to {1}
q: What do I pay on the motorway between {0} and {1}?
r: price

n: ferry_schedule find_ferry ferries
d: Ferries between two ports. | When boats leave.
p: from_port/origin/departure=place to_port/destination/arrival=place
np: the ferries from {0} to {1} | the next boat from {0} to {1}
vp: look up the ferry from {0} to {1}
q: When does the boat from {0} to {1} go? | Can I take a ship from {0} to {1}?
r: time

n: rent_bike bike_rental bike_share
d: Rent a bike. | Bikes for hire near a place.
p: station/place/location=place hours?/duration?:integer=small
vp: rent a bike in {0} | hire a bicycle in {0} for {1} hours
q: I want to cycle through {0}. | Where can I get a bike in {0}?
r: done

n: lost_luggage report_luggage baggage_claim
d: Report lost luggage. | Trace a bag.
p: tag/bag_number/reference=code
vp: report the lost bag {0} | trace my suitcase {0}
q: My suitcase never arrived, the tag is {0}. | Bag {0} is missing.
r: sentence

n: seat_map choose_seat select_seat
d: Choose a seat on a flight. | Seat selection.
p: flight/flight_number=flight seat=seat
vp: take seat {1} on flight {0} | choose {1} on {0}
q: I'd like to sit in {1} on flight {0}.
r: done

n: pack_list packing_list what_to_pack
d: What to pack for a trip. | Packing list for a place.
p: destination/place/city=place days?:integer=small
np: a packing list for {0} | a packing list for {1} days in {0}
vp: make a packing list for {0}
q: What should I put in my suitcase for {0}? | What do I take along to {0}?
r: list

n: beaches find_beach best_beach
d: Beaches near a place. | Where to swim.
p: place/city/region=place
np: the beaches near {0} | a beach near {0}
vp: find a beach near {0}
q: Where can I swim in {0}? | Where is the sea near {0}?
r: list

n: ski_report snow_report snow_depth
d: Snow in a ski resort. | Ski conditions.
p: resort/place/mountain=place
np: the snow depth in {0} | the ski conditions in {0}
vp: check the snow in {0}
q: Can I ski in {0}? | How much snow is there in {0}?
r: dist

# cloud
n: create_server launch_instance new_vm start_vm create_instance
d: Create a virtual machine. | Launch a server.
p: name/instance=service size?/type?=enum:small,medium,large region?=region
vp: create a server called {0} | launch a {1} machine named {0} | start a {1} instance {0} in {2}
q: I need another machine, call it {0}.
r: done

n: delete_server terminate_instance destroy_vm remove_instance
d: Delete a virtual machine. | Terminate a server.
p: name/instance/instance_id=service
vp: terminate {0} | destroy the machine {0} | delete the server {0}
q: We don't need the machine {0} any more.
r: done

n: list_pods get_pods kubectl_get_pods pods
d: Pods of a namespace. | What runs in the cluster.
p: namespace/ns=service
np: the pods in {0} | the pods of the namespace {0}
vp: list the pods in {0}
q: What is running in the namespace {0}? | Which pods does {0} have?
r: list

n: container_logs pod_logs docker_logs
d: Logs of a container. | What a container printed.
p: container/pod/name=service
np: the logs of container {0} | the output of pod {0}
vp: show the logs of container {0} | tail the pod {0}
q: What did the container {0} print?
r: sentence

n: set_env set_variable set_config update_config
d: Set a configuration value. | Change a setting.
p: key/name/setting/variable=envkey value=word
vp: set {0} to {1} | change {0} to {1} | put {1} into {0}
q: {0} should be {1}. | The value of {0} must become {1}.
r: done

n: get_env get_config read_setting get_setting
d: Value of a setting. | Read a configuration key.
p: key/name/setting/variable=envkey
np: the value of {0} | the setting {0}
vp: read the setting {0}
q: What is {0} set to? | How is {0} configured?
r: word

n: create_bucket new_bucket make_bucket
d: Create a storage bucket. | New place for files in the cloud.
p: name/bucket=word region?=region
vp: create a bucket {0} | make a bucket {0} in {1}
q: I need a bucket named {0}.
r: done

n: upload_file put_object upload store_file
d: Upload a file to a bucket. | Put a file into cloud storage.
p: path/file/source=path bucket/target/destination=word
vp: upload {0} to {1} | put {0} into the bucket {1} | send {0} up to {1}
q: {0} should be in the bucket {1}.
r: done

n: cloud_cost billing_report monthly_cost get_costs
d: Cloud costs of a month. | What the servers cost.
p: month/period=month
np: the cloud costs of {0} | the server bill for {0}
vp: show what the servers cost in {0}
q: How much did we spend on the cloud in {0}?
r: price

n: list_commits git_log recent_commits get_commits
d: Commits of a repository. | What changed lately.
p: repo/repository/project=service limit?/n?:integer=small
np: the commits of {0} | the last {1} commits of {0}
vp: list the commits of {0}
q: What changed in {0} lately? | Who committed to {0}?
r: list

n: open_pull_request create_pr create_pull_request new_pr
d: Open a pull request. | Ask for a branch to be merged.
p: branch/head/source=branch title?=clause
vp: open a pull request for {0} | create a PR from {0} with the title "{1}"
q: {0} is finished, I want a PR for it.
r: code

n: review_code code_review check_code
d: Review a source file. | Finds problems in code.
p: file/path/filename=path
np: the problems in {0}
vp: review {0} | look over the code in {0} | check the code of {0}
q: Is the code in {0} any good? | What is wrong with {0}?
r: sentence

n: format_code lint run_formatter
d: Format a source file. | Tidy up code.
p: file/path/filename=path
vp: format {0} | tidy up the code in {0} | lint {0}
q: The code in {0} looks ugly.
r: done

n: ssl_expiry certificate_status check_certificate
d: When a certificate expires. | TLS certificate of a domain.
p: domain/host=domain
np: the certificate of {0} | the expiry date of the certificate of {0}
vp: check the certificate of {0}
q: How long is the certificate of {0} valid? | When does the TLS of {0} run out?
r: date

n: whois domain_owner domain_info
d: Owner of a domain. | Who registered a domain.
p: domain/name=domain
np: the owner of {0} | the registration of {0}
vp: look up who owns {0}
q: Who has registered {0}? | Whom does the domain {0} belong to? | Is {0} still free?
r: company

n: uptime get_uptime server_uptime
d: How long a server has been up. | Uptime.
p: server/host/name=service
np: the uptime of {0}
vp: check the uptime of {0}
q: How long has {0} been running? | Since when is {0} up?
r: dur

n: kill_process stop_process end_process
d: Stop a process by its id. | Kill a program.
p: pid/process_id:integer=num
vp: kill process {0} | stop the process {0} | end process {0}
q: Process {0} eats all the memory, get rid of it.
r: done

n: schedule_job create_cron add_job cron
d: Run a job regularly. | Schedule a command at a time.
p: command/job/task=command time/at/when=time
vp: run {0} every day at {1} | schedule {0} for {1}
q: {0} should run at {1}.
r: done

n: send_alert page_oncall notify_team alert
d: Alert a team. | Send a warning.
p: team/channel/group=dept message/text=clause
vp: alert {0} that {1} | warn the {0} team: {1} | notify {0} that {1}
q: {0} has to know at once: {1}
r: done

n: train_model start_training fit_model
d: Train a model on a data set. | Start a training.
p: dataset/data=path epochs?/steps?:integer=small
vp: train a model on {0} | train on {0} for {1} epochs
q: I want a model that has learned from {0}.
r: done

n: predict run_model classify inference
d: Predict the class of a text. | Run the model on an input.
p: text/input=clause
np: the class of "{0}" | the prediction for "{0}"
vp: classify "{0}" | run the model on "{0}"
q: Which class does "{0}" belong to?
r: word

# social
n: post_tweet tweet post_status publish_post share_post
d: Publish a post. | Post on social media.
p: text/message/content=clause
vp: post "{0}" | tweet that {0} | publish: {0} | share with the world that {0}
q: My followers should read: {0}
r: done

n: follower_count get_followers followers
d: Number of followers of an account. | How popular somebody is.
p: account/username/handle=handle
np: the number of followers of {0} | the follower count of {0}
vp: count the followers of {0}
q: How many people follow {0}? | How popular is {0}?
r: bignum

n: follow_user follow subscribe_channel
d: Follow an account. | Subscribe to somebody.
p: account/username/handle=handle
vp: follow {0} | subscribe to {0}
q: I want to see everything that {0} posts.
r: done

n: like_post like upvote
d: Like a post. | Give a post a thumbs up.
p: post_id/id/post=code
vp: like post {0} | give {0} a thumbs up | upvote {0}
q: Post {0} is great, tell them I like it.
r: done

n: search_videos find_video youtube_search video_search
d: Search videos. | Find a clip.
p: query/topic/q=topic
np: videos about {0} | a video about {0}
vp: find a video about {0} | search videos on {0}
q: Is there a clip about {0}? | I want to watch something about {0}.
r: list

n: upload_photo post_photo share_photo
d: Upload a photo. | Share a picture.
p: file/path/photo=path caption?/text?=clause
vp: upload the photo {0} | share {0} with the caption "{1}"
q: Everyone should see the picture {0}.
r: done

n: resize_image scale_image image_resize
d: Resize an image. | Change the size of a picture.
p: file/path/image=path width:integer=num height:integer=num
vp: resize {0} to {1} by {2} | scale {0} to {1}x{2} | make {0} {1} wide and {2} high
q: {0} should be {1} by {2} pixels.
r: done

n: convert_file change_format file_converter
d: Convert a file to another format. | Change the format of a document.
p: file/path/source=path format/to/target=enum:pdf,png,jpg,mp3,docx,csv
vp: convert {0} to {1} | turn {0} into a {1} | save {0} as {1}
q: I need {0} as {1}.
r: path

n: ocr read_image extract_text image_to_text
d: Read the text in an image. | Text recognition.
p: file/image/path=path
np: the text in the picture {0}
vp: read the text in the image {0} | extract the text from the scan {0}
q: What is written on the picture {0}? | What does the scan {0} say?
r: sentence

n: describe_image image_caption caption
d: Describe what is in a picture. | Caption for an image.
p: file/image/path=path
np: a description of the image {0}
vp: describe the picture {0}
q: What can be seen in {0}? | Who is in the photo {0}?
r: sentence

n: record_audio start_recording record
d: Record sound for some seconds. | Start the microphone.
p: seconds/duration:integer=small
vp: record {0} seconds of sound | record for {0} seconds
q: Listen for {0} seconds.
r: path

n: transcribe speech_to_text transcription
d: Write down what is said in a recording. | Transcribe audio.
p: file/audio/path=path
np: the transcript of {0}
vp: transcribe {0} | write down what is said in {0}
q: What do they say in the recording {0}?
r: sentence

n: take_photo camera take_picture snapshot
d: Take a photo. | Use the camera.
p:
np: a photo | a snapshot
vp: take a photo | take a picture | make a snapshot
q: Smile! | I want a picture of this.
r: path

n: screenshot take_screenshot capture_screen
d: Take a picture of the screen. | Screenshot.
p:
np: a screenshot
vp: take a screenshot | capture the screen
q: Save what is on my screen.
r: path

# public
n: tax_office_hours office_hours opening_hours get_opening_hours
d: Opening hours of a place. | When a shop or office is open.
p: place/name/shop/office=shop day?=day
np: the opening hours of {0} | the opening hours of {0} on {1}
vp: look up when {0} opens
q: When does {0} open? | Until when is {0} open? | Is {0} open on {1}? | Is {0} still open?
r: time

n: emergency_number emergency call_emergency
d: Emergency number of a country. | Whom to call in danger.
p: country=country
np: the emergency number in {0} | the emergency number of {0}
vp: look up the emergency number of {0}
q: Which number do I dial in {0} in an emergency? | How do I call the police in {0}?
r: num

n: find_doctor doctors search_doctor
d: Find a doctor in a city. | Doctors by specialty.
p: city/place=place specialty?/kind?=specialty
np: a doctor in {0} | a {1} in {0}
vp: find a doctor in {0} | find a {1} in {0}
q: Who can treat me in {0}? | I need a {1} in {0}.
r: person

n: nearest_hospital find_hospital hospital
d: Nearest hospital. | Where the next hospital is.
p: city/location/place=place
np: the nearest hospital in {0} | a hospital in {0}
vp: find a hospital in {0}
q: I had an accident in {0}, where do I go? | Where is the next hospital in {0}?
r: street

n: find_atm atm cash_machine nearest_atm
d: Cash machine near a place. | Where to get cash.
p: place/location/city=place
np: a cash machine in {0} | an ATM near {0}
vp: find an ATM in {0}
q: Where can I get cash in {0}?
r: street

n: post_code zip_code get_zip postal_code
d: Postal code of a place. | ZIP code of a town.
p: place/city/town=place
np: the postal code of {0} | the zip code of {0}
vp: look up the zip code of {0}
q: Which postal code does {0} have?
r: num

n: area_code dialing_code phone_prefix
d: Phone prefix of a city or country. | Dialing code.
p: place/country/city=country
np: the dialing code of {0} | the phone prefix of {0}
vp: look up the dialing code of {0}
q: What do I dial first when I call {0}?
r: num

n: election_results get_election votes
d: Result of an election. | Who won a vote.
p: place/country/region=country year?:integer=year
np: the election result in {0} | the election result in {0} in {1}
vp: look up the election in {0}
q: Who won the election in {0}? | Who was elected in {0} in {1}?
r: person

n: crime_rate safety_index is_safe
d: How safe a city is. | Crime rate.
p: city/place=place
np: the crime rate in {0} | the crime rate of {0}
vp: check how safe {0} is
q: Is {0} a safe city? | Can I walk alone at night in {0}?
r: num

n: cost_of_living living_costs
d: Cost of living in a city. | What life costs.
p: city/place=place
np: the cost of living in {0}
vp: look up what life costs in {0}
q: How expensive is life in {0}? | Can I live cheaply in {0}?
r: price

n: minimum_wage get_minimum_wage
d: Minimum wage of a country. | Lowest legal pay.
p: country=country
np: the minimum wage in {0}
vp: look up the minimum wage in {0}
q: What must one be paid at least in {0}?
r: price

n: file_complaint complain submit_complaint
d: File a complaint. | Report something bad.
p: text/complaint/description=clause
vp: file a complaint that {0} | complain that {0}
q: I'm very unhappy: {0}
r: code

n: renew_library extend_loan renew_book
d: Extend the loan of a library book. | Keep a book longer.
p: book/title=title weeks?:integer=small
vp: renew {0} | extend the loan of {0} by {1} weeks
q: I have not finished {0} yet. Can I keep it? | I want to keep {0} for {1} more weeks.
r: date

n: find_event events local_events search_events
d: Events in a city. | Concerts and festivals.
p: city/place=place date?/day?=day
np: the events in {0} | events in {0} {1}
vp: find events in {0} | look for concerts in {0} {1}
q: What's going on in {0}? | Where can I go out in {0} {1}? | Is there a concert in {0}?
r: list

n: donate make_donation give_to_charity
d: Donate money. | Give to a charity.
p: organization/charity/to=company amount:number=num
vp: donate {1} to {0} | give {1} euros to the charity {0}
q: {0} does good work, they should get {1} from me.
r: done

# study
n: create_flashcard add_flashcard new_card
d: Create a flashcard. | Card with a question and an answer.
p: front/question/word=word back/answer/meaning=word
vp: make a flashcard with {0} and {1} | add a card: {0} means {1}
q: I want to learn that {0} means {1}.
r: done

n: quiz_me start_quiz quiz make_quiz
d: Start a quiz on a subject. | Questions for practice.
p: subject/topic=subject questions?/count?:integer=small
np: a quiz on {0} | a quiz about {0} with {1} questions
vp: quiz me on {0} | ask me {1} questions about {0}
q: I want to practise {0}. | Test what I know about {0}.
r: sentence

n: homework get_homework assignments
d: Homework for a subject. | What is to be done for school.
p: subject/course/class_name=subject
np: the homework for {0} | my {0} homework
vp: look up the homework in {0}
q: What do I have to do for {0}? | Do we have homework in {0}?
r: sentence

n: class_schedule timetable get_timetable
d: Timetable of a class. | Lessons on a day.
p: class_name/group/student=code day?=day
np: the timetable of {0} | the lessons of {0} on {1}
vp: show the timetable of {0}
q: Which lessons does {0} have on {1}?
r: list

n: find_tutor search_tutor tutors
d: Find a tutor for a subject. | Private lessons.
p: subject=subject city?/place?=place
np: a tutor for {0} | a {0} tutor in {1}
vp: find a tutor for {0} | find someone in {1} who teaches {0}
q: I'm bad at {0}, who can help? | Who gives {0} lessons in {1}?
r: person

n: search_papers find_papers arxiv paper_search
d: Search scientific papers. | Find articles of researchers.
p: query/topic/keywords=topic author?=person
np: papers on {0} | papers on {0} by {1} | research about {0}
vp: find papers about {0} | search articles by {1} on {0}
q: What have researchers found out about {0}? | Has {1} published on {0}?
r: list

n: cite make_citation citation
d: Citation of a book or paper. | Reference in a style.
p: title/work=title style?=enum:APA,MLA,Chicago
np: the citation of {0} | the {1} citation of {0}
vp: cite {0} | cite {0} in {1} style
q: How do I quote {0} in {1}?
r: sentence

n: moon_phase get_moon moon
d: Phase of the moon on a date. | How full the moon is.
p: date/day=date
np: the moon phase on {0} | the phase of the moon on {0}
vp: look up the moon for {0}
q: Is there a full moon on {0}? | How does the moon look on {0}?
r: word

n: molar_mass molecular_weight compound_info
d: Molar mass of a compound. | Weight of a molecule.
p: formula/compound/substance=formula
np: the molar mass of {0} | the molecular weight of {0}
vp: compute the molar mass of {0}
q: How heavy is a mole of {0}?
r: num

n: boiling_point get_boiling_point
d: Boiling point of a substance. | When something boils.
p: substance/liquid/element=formula
np: the boiling point of {0}
vp: look up when {0} boils
q: When does {0} boil? | At how many degrees does {0} boil?
r: deg

n: earthquakes recent_earthquakes quake_info
d: Recent earthquakes in a region. | Seismic activity.
p: region/place/country=country
np: the earthquakes in {0} | the latest earthquake in {0}
vp: look up earthquakes in {0}
q: Did the earth shake in {0}? | Was there a quake in {0}?
r: sentence

n: measure_noise noise_level sound_level
d: How loud it is in a room. | Noise in decibel.
p: room/place=room
np: the noise level in the {0}
vp: measure how loud the {0} is
q: Is it loud in the {0}? | How loud is the {0}?
r: num

n: humidity get_humidity room_humidity
d: Humidity of a room. | How damp the air is.
p: room/place/location=room
np: the humidity in the {0} | the humidity of the {0}
vp: measure the humidity in the {0}
q: How damp is the {0}? | Is the air in the {0} too dry?
r: pct

n: camera_feed show_camera open_camera view_camera
d: Show the picture of a camera. | Look through a security camera.
p: camera/location/place=door
np: the camera at the {0}
vp: show me the camera at the {0} | open the camera of the {0}
q: Who is at the {0}? | Is anybody standing at the {0}?
r: sentence

n: arm_alarm set_security activate_alarm alarm_system
d: Arm the alarm system. | Switch the burglar alarm on.
p: mode?=enum:home,away,night
vp: arm the alarm | switch the alarm system on | set the alarm system to {0}
q: We are leaving, make the house safe. | Secure the house in {0} mode.
r: done

n: energy_usage power_consumption electricity_use
d: Power used by a device. | Electricity consumption.
p: device/appliance=device
np: the power consumption of the {0} | the energy use of the {0}
vp: measure what the {0} uses
q: How much electricity does the {0} eat? | Does the {0} use much power?
r: num

n: start_washing start_washer wash_program
d: Start the washing machine. | Run a washing program.
p: program/mode=enum:cotton,wool,quick,eco temperature?/degrees?:integer=small
vp: start the washing machine on {0} | wash with the {0} program at {1} degrees
q: My clothes are dirty, run the {0} program.
r: done

n: make_coffee brew_coffee coffee
d: Make coffee. | Brew some cups.
p: cups/count?:integer=small kind?/type?=enum:espresso,latte,cappuccino
vp: make {0} cups of coffee | brew {0} cups | make {0} cups of {1}
q: We are {0} and tired. Coffee please! | {0} coffees please.
r: done

# games
n: high_score get_high_score best_score
d: Best score in a game. | High score of a player.
p: game/title=game player?/name?=first
np: the high score in {0} | the best score of {1} in {0}
vp: look up the high score of {0}
q: Who is the best at {0}? | How many points did {1} make in {0}?
r: num

n: make_move play_move chess_move
d: Make a move on the board. | Move a piece.
p: from_square/start=square to_square/end=square
vp: move from {0} to {1} | play {0} to {1}
q: My piece goes from {0} to {1}.
r: sentence

n: character_stats get_character hero_info
d: Stats of a game character. | How strong a hero is.
p: character/name/hero=proper
np: the stats of the hero {0} | the level of {0}
vp: look up the character {0}
q: How strong is {0}? | How many lives does {0} have?
r: json

n: cast_spell use_spell magic
d: Cast a spell on a target. | Use magic.
p: spell/name=word target=proper
vp: cast {0} on {1} | use the spell {0} against {1}
q: {1} deserves a {0} spell.
r: sentence

n: inventory_add pick_up take_item
d: Take an item into the bag. | Pick something up.
p: item/object=thing
vp: pick up the {0} | take the {0} | put the {0} into my bag
q: There is a {0} on the floor, I want it.
r: done

n: random_name name_generator generate_name
d: Make up a name. | Random name for a kind of thing.
p: kind/category/for_what=animal
np: a name for a {0} | a random name for my {0}
vp: make up a name for a {0}
q: What could I call my {0}? | I have a new {0}. What shall it be called?
r: proper

n: gift_ideas suggest_gift find_gift
d: Ideas for a gift. | What to give somebody.
p: person/recipient/for_whom=gifted budget?/max_price?:integer=num
np: a gift for {0} | a gift for {0} under {1}
vp: suggest a gift for {0} | find a present for {0} for at most {1}
q: What could I give {0}? | {0} has a birthday and I have {1} to spend.
r: list

n: fortune magic_ball ask_oracle predict_future
d: Answers a yes-no question by chance. | The oracle.
p:
np: my fortune | my future
vp: tell my fortune | look into my future
q: What will become of me?
r: sentence

n: color_info hex_color get_color color_code
d: Hex code of a color. | Code of a color name.
p: color/name=color
np: the hex code of {0} | the color code for {0}
vp: look up the code of the color {0}
q: How do I write {0} in CSS? | Which code does {0} have?
r: word

n: mix_colors blend_colors mix
d: Mix two colors. | Which color comes out.
p: a/first/color1=color b/second/color2=color
np: the mix of {0} and {1}
vp: mix {0} and {1} | blend {0} with {1}
q: What do I get from {0} and {1} paint?
r: word

# crm
n: add_lead create_lead new_contact add_contact save_contact
d: Add a contact. | Save a person with a phone number.
p: name/person/contact=person phone/number=phone
vp: save the contact {0} with {1} | add {0} ({1}) to my contacts | note the number {1} for {0}
q: {0} has a new number, it is {1}. | {0}'s number is {1}, keep it.
r: done

n: delete_contact remove_contact forget_contact
d: Delete a contact. | Remove somebody from the address book.
p: name/person/contact=person
vp: delete the contact {0} | take {0} out of my contacts
q: I never want to see {0} in my contacts again.
r: done

n: log_call record_call note_call
d: Note a phone call with a customer. | Log what was said.
p: customer/client/name=company note/summary/text=clause
vp: log a call with {0}: {1} | note that I spoke with {0} and {1}
q: I just had {0} on the phone: {1}
r: done

n: last_contact last_meeting when_contacted
d: When we last spoke to a customer. | Last contact.
p: customer/client/name=company
np: the last contact with {0} | the date of the last meeting with {0}
vp: look up when we last spoke to {0}
q: When did we last talk to {0}? | Have we heard from {0} lately?
r: date

n: customer_orders orders_of list_orders get_orders
d: Orders of a customer. | What somebody bought.
p: customer/client/name=person
np: the orders of {0} | the list of orders from {0}
vp: list the orders of {0}
q: What did {0} buy? | What has {0} ordered so far?
r: list

n: supplier_info find_supplier supplier
d: Supplier of a product. | Who delivers an article.
p: product/item/article=item
np: the supplier of {0}
vp: look up who supplies {0}
q: Where do we get our {0} from? | Who delivers the {0}?
r: company

n: reorder restock order_stock replenish
d: Order more of a product. | Fill up the stock.
p: product/item/sku=item quantity/amount/count:integer=num
vp: reorder {1} {0} | order {1} more {0} | restock {0} with {1} pieces
q: We are low on {0}, get {1} more.
r: done

n: shipping_cost postage delivery_cost get_shipping
d: Cost of sending a parcel. | Postage by weight and country.
p: weight/kg:number=small country/destination/to=country
np: the postage for {0} kg to {1} | the shipping cost of a {0} kg parcel to {1}
vp: compute the postage for {0} kg to {1}
q: What does it cost to send {0} kilos to {1}?
r: price

n: insurance_quote get_quote insurance
d: Price of an insurance. | Insurance offer for a thing.
p: thing/object/item=item value/amount:number=num
np: an insurance for a {0} worth {1}
vp: quote an insurance for a {0} worth {1}
q: What would it cost to insure my {0}? It is worth {1}.
r: price

n: file_claim insurance_claim report_damage
d: Report damage to the insurance. | File a claim.
p: policy/policy_number/contract=code description/text/what=clause
vp: file a claim on {0}: {1} | report to the insurance {0} that {1}
q: My policy is {0}, and {1}.
r: code

n: property_value house_price estimate_home
d: Value of a house. | What a home is worth.
p: address/house=street
np: the value of the house at {0} | the worth of {0}
vp: estimate the house at {0}
q: What could I sell {0} for? | How much is the house in {0} worth?
r: price
"""
